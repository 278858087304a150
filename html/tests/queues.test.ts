// Which queues Overview shows: the deepest of all, not of a page of them.
import { describe, expect, it } from 'vitest';

import type { Queue } from '../src/lib/api';
import { deepest } from '../src/lib/queues';

const queue = (name: string, waiting: number): Queue => ({
  name, waiting, state: 'active', max_length: null, note: null, retention_days: null, updated_by: null, updated_at: null, workers: 1,
  scheduled: 0, retrying: 0, running: 0, levels: [], oldest_age_seconds: waiting ? 12 : null,
});

describe('the deepest queues', () => {
  const page = [queue('accounting', 3), queue('default', 0), queue('mail', 7)];

  it('may be on a later page of the list: their depth is in the numbers', () => {
    const shown = deepest(page, { accounting: 3, default: 0, mail: 7, zebra: 50 }, 3);
    expect(shown.map(({ name, waiting }) => [name, waiting])).toEqual([['zebra', 50], ['mail', 7], ['accounting', 3]]);
    expect(shown.map(({ oldest_age_seconds, state }) => [oldest_age_seconds, state])).toEqual([[undefined, undefined], [12, 'active'], [12, 'active']]);
  });
  it('are as deep as the numbers say, which are younger; a queue that is not in them as the list says', () => {
    expect(deepest(page, { accounting: 9, default: 4 }, 8).map(({ name, waiting }) => [name, waiting])).toEqual([['accounting', 9], ['mail', 7], ['default', 4]]);
  });
  it('are those of the list until the numbers are there, and none of TaskForge\'s own', () => {
    expect(deepest(page, undefined, 2).map(({ name }) => name)).toEqual(['mail', 'accounting']);
    expect(deepest([], { _upkeep: 3, shop: 1 }, 8)).toEqual([{ name: 'shop', waiting: 1 }]);
  });
});
