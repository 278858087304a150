// Where the boxes of a flow stand and how the lines between them go: side by side where there is room, else below each
// other, further in the further they are from the beginning.

/** From one, to another that came of it. */
export type Edge = readonly [string, string];

export const NODE_HEIGHT = 74;

const LEAST_WIDTH = 168;
const MOST_WIDTH = 264;
const GAP_ACROSS = 40;
const GAP_DOWN = 12;
const INDENT = 20;

interface Place {
  left: number;
  top: number;
  width: number;
}

export interface Arranged {
  places: Map<string, Place>;
  /** of SVG paths */
  lines: string[];
  height: number;
}

/** How many edges a node is from the beginning, the longest way. Edges lead from nodes to later ones. */
function depthsOf(nodes: string[], edges: readonly Edge[]): Map<string, number> {
  const depths = new Map<string, number>();
  for (const node of nodes) {
    const before = edges.filter(([, to]) => to === node).map(([from]) => depths.get(from) ?? 0);
    depths.set(node, before.length ? Math.max(...before) + 1 : 0);
  }
  return depths;
}

/** nodes: in an order in which each comes after what it came of. width: of what there is, in pixels. */
export function arrangeFlow(nodes: string[], edges: readonly Edge[], width: number): Arranged {
  const depths = depthsOf(nodes, edges);
  const columns = Math.max(...depths.values()) + 1;
  const across = Math.floor((width - (columns - 1) * GAP_ACROSS) / columns);
  return across >= LEAST_WIDTH ? sideBySide(nodes, edges, depths, columns, Math.min(across, MOST_WIDTH)) : below(nodes, edges, depths, width);
}

const span = (count: number): number => count * NODE_HEIGHT + (count - 1) * GAP_DOWN;

function sideBySide(nodes: string[], edges: readonly Edge[], depths: Map<string, number>, columns: number, width: number): Arranged {
  const byColumn = Array.from({ length: columns }, (_, depth) => nodes.filter((node) => depths.get(node) === depth));
  const height = Math.max(...byColumn.map((column) => span(column.length)));
  const places = new Map<string, Place>();
  byColumn.forEach((column, depth) => {
    const first = (height - span(column.length)) / 2;
    column.forEach((node, index) => places.set(node, { left: depth * (width + GAP_ACROSS), top: first + index * (NODE_HEIGHT + GAP_DOWN), width }));
  });
  const line = (from: Place, to: Place): string => {
    const [x, y, end, level] = [from.left + from.width, from.top + NODE_HEIGHT / 2, to.left, to.top + NODE_HEIGHT / 2];
    const middle = (x + end) / 2;
    return `M${x} ${y}C${middle} ${y} ${middle} ${level} ${end} ${level}`;
  };
  return { places, lines: linesOf(edges, places, line), height };
}

function below(nodes: string[], edges: readonly Edge[], depths: Map<string, number>, width: number): Arranged {
  const places = new Map<string, Place>();
  nodes.forEach((node, index) => {
    const left = (depths.get(node) ?? 0) * INDENT;
    places.set(node, { left, top: index * (NODE_HEIGHT + GAP_DOWN), width: Math.max(width - left, 0) });
  });
  const line = (from: Place, to: Place): string => `M${from.left + INDENT / 2} ${from.top + NODE_HEIGHT}V${to.top + NODE_HEIGHT / 2}H${to.left}`;
  return { places, lines: linesOf(edges, places, line), height: span(nodes.length) };
}

function linesOf(edges: readonly Edge[], places: Map<string, Place>, line: (from: Place, to: Place) => string): string[] {
  return edges.flatMap(([from, to]) => {
    const [a, b] = [places.get(from), places.get(to)];
    return a && b ? [line(a, b)] : [];
  });
}
