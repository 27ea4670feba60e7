import { expect, it } from 'vitest';
import { logCollectionSchema } from './log-collection.ts';

it.each(['on', { labels: 'a' }, null])('says of %o what can be chosen', (wrong) => {
  const { error } = logCollectionSchema.safeParse(wrong);
  expect(error?.issues).toMatchObject([{ message: expect.stringContaining('"off", "all"') }]);
});

it.each(['off', 'all', { label: 'app' }, { label: 'app=a=b' }])('takes %o', (choice) => {
  expect(logCollectionSchema.parse(choice)).toEqual(choice);
});
