import { expect, it } from 'vitest';
import { resultText, shownResult } from './result-text.ts';

const INSPECT = 'docker.containers.inspect';
const INSPECTED = { Config: { Env: ['PASSWORD=secret'] } };

it('shows and keeps a result without the values of environments', () => {
  const { result, text, keepable } = shownResult({ method: INSPECT, params: {} }, INSPECTED);
  expect(result).toEqual({ Config: { Env: ['PASSWORD=***'] } });
  expect(text).toBe(resultText(result));
  expect(keepable).toBe(text);
});

it('keeps nothing of one that shows these values', () => {
  const shown = shownResult({ method: INSPECT, params: { reveal_env: true } }, INSPECTED);
  expect(shown).toMatchObject({ result: INSPECTED, keepable: undefined });
});

it('keeps the result of a method that the catalogue does not have, and null for none', () => {
  expect(shownResult({ method: 'of.before', params: {} }, undefined).keepable).toBe('null');
});
