/**
 * How much a stack may grow by what it refers to. A few lines that include, extend and interpolate each other can stand
 * for more than memory holds; what is written out is bounded by the size of the files.
 */
import type { Node, Place } from './node.ts'
import type { Diagnostics } from './diagnostics.ts'

/** What is left; shared by all phases of one loading. */
export interface Budget {
  /** Nodes that come in by `extends` and `include`. */
  nodes: number
  /** UTF-16 units that variables add. */
  text: number
  /** Files that come in by `include`. */
  files: number
  told: boolean
}

const MAX_NODES = 2_000_000
const MAX_TEXT = 64 << 20
const MAX_FILES = 2000

export function openBudget(): Budget {
  return { nodes: MAX_NODES, text: MAX_TEXT, files: MAX_FILES, told: false }
}

export interface Spender {
  readonly budget: Budget
  readonly diagnostics: Diagnostics
}

/** Whether all of a tree may come in; tells once when it may not. */
export function spendNodes(node: Node, place: Place, { budget, diagnostics }: Spender): boolean {
  budget.nodes -= countNodes(node, budget.nodes)
  if (budget.nodes > 0) return true
  refuse(place, `more than ${String(MAX_NODES)} nodes by extends and include`, {
    budget,
    diagnostics,
  })
  return false
}

/** The nodes of a tree, counted no further than to a limit. */
function countNodes(root: Node, limit: number): number {
  let count = 0
  const pending = [root]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    count++
    if (count >= limit) return count
    if (node.kind === 'list') for (const item of node.items) pending.push(item)
    else if (node.kind === 'map') for (const { value } of node.entries.values()) pending.push(value)
  }
  return count
}

/** Whether one more file may come in; tells once when it may not. */
export function spendFile(place: Place, { budget, diagnostics }: Spender): boolean {
  if (budget.files-- > 0) return true
  refuse(place, `more than ${String(MAX_FILES)} files by include`, { budget, diagnostics })
  return false
}

/** Whether variables may add so much text; tells once when they may not. */
export function spendText(length: number, place: Place, spender: Spender): boolean {
  if (length > 0) spender.budget.text -= length
  if (spender.budget.text > 0) return true
  refuse(place, `more than ${String(MAX_TEXT >> 20)} MiB of text by variables`, spender)
  return false
}

function refuse(place: Place, what: string, { budget, diagnostics }: Spender): void {
  if (budget.told) return
  budget.told = true
  diagnostics.error(place, `the stack grows too large: ${what}`, {
    expected: 'files that stand for about as much as is written in them',
    suggestion: 'look for files, services or variables that multiply each other',
  })
}
