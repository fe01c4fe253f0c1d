/** Sources as people read them. Pure. */
import type { GitSourceStatus, RevisionSummary } from '../api/gitops-types.ts'
import { lowerDuration } from './human.ts'
import { formatTable, printable } from './table.ts'

const SHORT_COMMIT = 12

function short(commit: string | undefined): string {
  return commit?.slice(0, SHORT_COMMIT) ?? ''
}

/** One line for each source. */
export function sourcesTable(
  sources: readonly GitSourceStatus[],
  width: number | undefined,
): string {
  return formatTable(
    ['NAME', 'STACK', 'READY', 'REASON', 'COMMIT', 'MESSAGE'],
    sources.map(({ name, stack, ready, reason, applied, message }) => [
      ...[name, stack, ready, reason, short(applied?.commit)],
      message.split('\n', 1)[0] ?? '',
    ]),
    width,
  )
}

/** All of one source. @param now - what ages are counted from */
export function sourceDetails(source: GitSourceStatus, now: Date): string {
  const { repo, ref, path, ready, reason, message, since, held, pending } = source
  const age = (time: string): string => `${lowerDuration(now.getTime() - Date.parse(time))} ago`
  const revision = (one: RevisionSummary | undefined): string =>
    one === undefined
      ? '-'
      : one.subject === ''
        ? `${short(one.commit)}  (${age(one.at)})`
        : `${short(one.commit)}  ${one.subject}  (${one.author}, ${age(one.at)})`
  const rows: readonly (readonly [string, string])[] = [
    ['Source', source.name],
    [
      'Repository',
      `${repo}${ref === undefined ? '' : ` at ${ref}`}${path === '' ? '' : `, ${path}`}`,
    ],
    ['Stack', source.stack],
    ['Ready', `${ready} (${reason}), since ${age(since)}`],
    ['', message],
    ['Seen', seen(source, age)],
    ['Applied', revision(source.applied)],
    ['Last good', revision(source.lastGood)],
    ...(held === undefined ? [] : [['Held', `${revision(held)}: ${held.message}`] as const]),
    ...(pending === undefined ? [] : [['Waiting', revision(pending)] as const]),
    ...imageRows(source, age),
    ['Options', optionsOf(source).join(', ') || '-'],
    ['Signatures', source.verified ? 'required' : 'not looked at'],
    ['Next look', nextLook(source, now)],
  ]
  return rows.flatMap(([label, text]) => linesOf(label, text)).join('')
}

/** How it is followed, in the words of `gitops add`; what is so by default is not said. */
export function optionsOf(source: GitSourceStatus): string[] {
  const { verified, webhook, prune, approve, dependsOn, windows, freezes, imageUpdates } = source
  return [
    ...(verified ? ['--verify-key'] : []),
    ...(webhook ? ['--webhook-secret'] : []),
    ...(prune ? ['--prune'] : []),
    ...(approve === 'manual' ? ['--approve manual'] : []),
    ...dependsOn.map((name) => `--depends-on ${name}`),
    ...windows.map((window) => `--window "${window}"`),
    ...freezes.map((window) => `--freeze "${window}"`),
    ...(imageUpdates === undefined ? [] : ['--image-updates']),
  ]
}

/** Of a source that writes images: each with what is newer, and the last commit. */
function imageRows(
  { imageUpdates }: GitSourceStatus,
  age: (time: string) => string,
): readonly (readonly [string, string])[] {
  if (imageUpdates === undefined) return []
  const { images, checkedAt, pushed, message } = imageUpdates
  const lines = images.map(({ service, image, newer, message: problem }) => {
    const state = problem ?? (newer === undefined ? 'up to date' : `newer: ${newer}`)
    return `${service}: ${image}  (${state})`
  })
  const asked = checkedAt === undefined ? 'not looked at yet' : `looked at ${age(checkedAt)}`
  return [
    ['Images', [asked, ...lines].join('\n')],
    ...(pushed === undefined
      ? []
      : [['Written', `${short(pushed.commit)} to ${pushed.branch}, ${age(pushed.at)}`] as const]),
    ...(message === undefined ? [] : [['Not written', message] as const]),
  ]
}

function seen(
  { observedCommit, observedAt }: GitSourceStatus,
  age: (time: string) => string,
): string {
  if (observedCommit === undefined) return '-'
  return `${short(observedCommit)}${observedAt === undefined ? '' : `  (${age(observedAt)})`}`
}

function nextLook({ suspended, nextSyncAt }: GitSourceStatus, now: Date): string {
  if (suspended) return 'suspended'
  const ms = nextSyncAt === undefined ? 0 : Date.parse(nextSyncAt) - now.getTime()
  return ms <= 0 ? 'now' : `in ${lowerDuration(ms)}`
}

const LABEL_WIDTH = 13

function linesOf(label: string, text: string): string[] {
  return text
    .split('\n')
    .map((line, index) => `${(index === 0 ? label : '').padEnd(LABEL_WIDTH)}${printable(line)}\n`)
}
