import { describe, expect, it } from 'vitest';
import { exceedsDepth, jsonExcess } from './json-limits.ts';
import { JSON_DEPTH_MAX, JSON_VALUES_MAX_COUNT } from './limits.ts';

describe('jsonExcess', () => {
  it('takes a text of the greatest depth and refuses one deeper', () => {
    expect(jsonExcess(nested(JSON_DEPTH_MAX))).toBeUndefined();
    expect(jsonExcess(nested(JSON_DEPTH_MAX + 1))).toBe('depth');
    expect(jsonExcess('{"a":'.repeat(JSON_DEPTH_MAX + 1))).toBe('depth');
  });

  it('refuses a text of more values than one message may hold', () => {
    const items = Array.from({ length: JSON_VALUES_MAX_COUNT - 2 }, () => '1').join(',');
    expect(jsonExcess(`[${items}]`)).toBeUndefined();
    expect(jsonExcess(`[${items},1,1]`)).toBe('values');
    expect(jsonExcess(`[${'[],'.repeat(JSON_VALUES_MAX_COUNT / 2)}1]`)).toBe('values');
  });

  it('does not count what is inside strings', () => {
    const text = JSON.stringify({ a: '['.repeat(1_000), b: ',"\\'.repeat(JSON_VALUES_MAX_COUNT) });
    expect(jsonExcess(text)).toBeUndefined();
  });

  it('finds the end of a string after any number of backslashes', () => {
    const deep = nested(JSON_DEPTH_MAX + 1);
    expect(jsonExcess(`{"a":"\\\\","b":${deep}}`)).toBe('depth');
    expect(jsonExcess(`{"a":"\\\\\\"","b":${deep}}`)).toBe('depth');
    expect(jsonExcess(`{"a":"\\"${deep}"}`)).toBeUndefined();
  });

  it.each(['', '"', '"\\"', '"\\', ']]]]', 'not JSON'])(
    'takes %j for the parser to refuse',
    (text) => {
      expect(jsonExcess(text)).toBeUndefined();
    },
  );
});

describe('exceedsDepth', () => {
  it('tells a value that nests too deep from one that does not', () => {
    expect(exceedsDepth(JSON.parse(nested(JSON_DEPTH_MAX)))).toBe(false);
    expect(exceedsDepth({ a: JSON.parse(nested(JSON_DEPTH_MAX)) as unknown })).toBe(true);
    expect(exceedsDepth(null)).toBe(false);
  });
});

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}
