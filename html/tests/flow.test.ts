// Where the boxes of a flow stand.
import { describe, expect, it } from 'vitest';

import { arrangeFlow, NODE_HEIGHT, type Edge } from '../src/lib/flow';

const nodes = ['schedule', 'job', 'first', 'second'];
const edges: Edge[] = [['schedule', 'job'], ['job', 'first'], ['job', 'second']];

describe('a flow', () => {
  it('goes from left to right where there is room, each column in the middle', () => {
    const { places, lines, height } = arrangeFlow(nodes, edges, 1000);
    const left = (name: string) => places.get(name)?.left ?? -1;
    expect(left('schedule')).toBeLessThan(left('job'));
    expect(left('job')).toBeLessThan(left('first'));
    expect(left('second')).toBe(left('first'));
    expect(places.get('job')?.top).toBe((height - NODE_HEIGHT) / 2);
    expect(places.get('second')?.top).toBe(height - NODE_HEIGHT);
    expect(lines).toHaveLength(3);
  });
  it('goes down on a phone, and no box is wider than it', () => {
    const { places, height } = arrangeFlow(nodes, edges, 300);
    expect(nodes.map((name) => places.get(name)?.top)).toEqual([...nodes.map((name) => places.get(name)?.top)].sort((a, b) => (a ?? 0) - (b ?? 0)));
    for (const place of places.values()) {
      expect(place.left + place.width).toBe(300);
      expect(place.top + NODE_HEIGHT).toBeLessThanOrEqual(height);
    }
  });
  it('puts what came of two behind both', () => {
    const { places } = arrangeFlow(['a', 'b', 'c', 'd'], [['a', 'b'], ['a', 'c'], ['b', 'c'], ['c', 'd']], 1000);
    expect(places.get('c')?.left).toBeGreaterThan(places.get('b')?.left ?? 0);
  });
});
