/** What `initial_sync` copies: all paths of a rule that are there now. */
import { readdirSync, statSync, type Dirent } from 'node:fs'
import path from 'node:path'
import type { ActiveRule } from './batch-work.ts'

/** Not for the container, though they are no secret either: as Docker Compose leaves them out at first. */
const LEFT_OUT =
  /^(?:Dockerfile|(?:docker-)?compose(?:\.override)?\.ya?ml|stack(?:\.override)?\.ya?ml|stack\.ts)$/

/** Absolute, parents first. Directories that can't be read are passed over. */
export function initialPaths({ rule, filter }: ActiveRule): string[] {
  const dockerfile = path.basename(rule.dockerfile)
  const paths: string[] = []
  const walk = (directory: string): void => {
    for (const entry of entriesOf(directory)) {
      const child = path.join(directory, entry.name)
      if (LEFT_OUT.test(entry.name) || entry.name === dockerfile || !filter.enters(child)) continue
      if (filter.wants(child)) paths.push(child)
      if (entry.isDirectory()) walk(child)
    }
  }
  const root = statSync(rule.path, { throwIfNoEntry: false })
  if (root?.isDirectory() === true) walk(rule.path)
  else if (root !== undefined && filter.wants(rule.path)) paths.push(rule.path)
  return paths
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch {
    return []
  }
}
