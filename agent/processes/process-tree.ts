import type { ProcessStat } from './process-table.ts';

export interface TreeNode {
  readonly process: ProcessStat;
  readonly depth: number;
}

/** The first of `wanted`, each with its ancestors, at most `limit` together. */
export function withAncestors(
  wanted: readonly ProcessStat[],
  all: readonly ProcessStat[],
  limit: number,
): ProcessStat[] {
  const byId = new Map(all.map((process) => [process.pid, process]));
  const chosen = new Map<number, ProcessStat>();
  for (const process of wanted) {
    const line = missingLine(process, byId, chosen);
    // A line longer than the room is cut at the top.
    const rest = limit - chosen.size;
    for (const member of line.slice(0, rest)) chosen.set(member.pid, member);
    if (chosen.size >= limit) break;
  }
  return [...chosen.values()];
}

/** The process and its ancestors that are not chosen yet, from below. */
function missingLine(
  process: ProcessStat,
  byId: ReadonlyMap<number, ProcessStat>,
  chosen: ReadonlyMap<number, ProcessStat>,
): ProcessStat[] {
  const line: ProcessStat[] = [];
  const seen = new Set<number>();
  let next: ProcessStat | undefined = process;
  // Ids that were given anew between two reads can make a ring.
  while (next !== undefined && !chosen.has(next.pid) && !seen.has(next.pid)) {
    seen.add(next.pid);
    line.push(next);
    next = byId.get(next.ppid);
  }
  return line;
}

/** Each before its children, those in the order in which they are given; a root has depth 0. */
export function inTreeOrder(processes: readonly ProcessStat[]): TreeNode[] {
  const ids = new Set(processes.map(({ pid }) => pid));
  const children = Map.groupBy(processes, ({ pid, ppid }) =>
    ids.has(ppid) && ppid !== pid ? ppid : ROOTS,
  );
  const ordered: TreeNode[] = [];
  // A stack of its own: a line of processes may be longer than the engine's.
  const stack = nodes(children.get(ROOTS), 0);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    ordered.push(node);
    stack.push(...nodes(children.get(node.process.pid), node.depth + 1));
  }
  return ordered;
}

const ROOTS = -1;

/** The last first, as a stack gives them back. */
function nodes(processes: readonly ProcessStat[] = [], depth: number): TreeNode[] {
  return processes.toReversed().map((process) => ({ process, depth }));
}
