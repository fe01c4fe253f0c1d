/**
 * `watch`: the files of a project and the stack's own, followed until it is stopped.
 *
 *   a rule's file ──▶ rule-watch ──▶ the daemon: into the containers, restart, command, rebuild
 *   stack.yaml, .env, env_file, include, extends, configs, .dockerignore
 *                 ──▶ source-watch ──▶ load again ──▶ apply (plan and up), other rules
 *
 * An edit that can't be loaded is told, and everything stays as it is.
 */
import path from 'node:path'
import type { StackSource } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import { activeRules } from './active-rules.ts'
import { openDaemonLink, type DaemonLink } from './daemon-link.ts'
import { openRuleWatch, type RuleWatch } from './rule-watch.ts'
import { runFollowUps } from './run-follow-ups.ts'
import { createSourceWatch, filesToFollow, type SourceWatch } from './source-watch.ts'
import { createSyncSender, type SyncSender } from './sync-sender.ts'
import { isWithin, watchRules } from './watch-rules.ts'

export interface StackWatchOptions {
  readonly client: Client
  /** As it runs now. */
  readonly source: StackSource
  /** Whose rules are followed; empty: all. */
  readonly services: readonly string[]
  readonly say: (line: string) => void
  /** Loads the stack again; tells each file that it looks for. */
  readonly load: (onLook: (file: string) => void) => Promise<LoadedStack>
  /** Brings what runs in line with an edited stack, and says what it does. */
  readonly apply: (loaded: LoadedStack) => Promise<void>
  readonly rebuild: (source: StackSource, service: string) => Promise<void>
  /** A failure as text of several lines. */
  readonly explain: (error: unknown) => Promise<string>
}

/** Can be started and stopped again and again; a second call while one is at work waits for it. */
export interface StackWatch {
  readonly isActive: boolean
  /** Resolves when everything is followed. @throws {INVALID_ARGUMENT} for rules that can't be followed */
  start(): Promise<void>
  stop(): Promise<void>
}

export function createStackWatch(options: StackWatchOptions): StackWatch {
  let source = options.source
  let running: Running | undefined
  let last: Promise<void> = Promise.resolve()
  const inOrder = (work: () => Promise<void>): Promise<void> => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }
  return {
    get isActive() {
      return running !== undefined
    },
    start: () =>
      inOrder(async () => {
        if (running !== undefined) return
        const next = new Running(options, source)
        try {
          await next.open()
        } catch (error) {
          await next.close()
          throw error
        }
        running = next
        options.say('Watch enabled')
      }),
    stop: () =>
      inOrder(async () => {
        if (running === undefined) return
        source = running.source
        await running.close()
        running = undefined
        options.say('Watch disabled')
      }),
  }
}

/** One time of watching, from start to stop. */
class Running {
  source: StackSource
  readonly #options: StackWatchOptions
  readonly #sender: SyncSender
  readonly #sources: SourceWatch
  #link: DaemonLink | undefined
  #rules: RuleWatch | undefined
  #fingerprint = ''
  #ignoreFiles: readonly string[] = []

  constructor(options: StackWatchOptions, source: StackSource) {
    const { client, say } = options
    this.#options = options
    this.source = source
    this.#sender = createSyncSender({
      client,
      stack: source.stack.name,
      say,
      shorten: (file) => this.#shorten(file),
    })
    this.#sources = createSourceWatch(
      () => this.#reload(),
      ({ message }) => {
        say(`not all files of the stack can be watched: ${message}`)
      },
    )
  }

  async open(): Promise<void> {
    const { client, say } = this.#options
    this.#link = await openDaemonLink({
      client,
      stack: this.source.stack.name,
      say,
      onReturn: () => this.#sender.sendAgain(),
    })
    await this.#followRules()
    const looked = new Set<string>()
    // It was loaded a moment ago, but not by us: what it looked for is not known yet.
    await this.#options.load((file) => looked.add(file)).catch(() => undefined)
    await this.#followSources(looked)
  }

  async close(): Promise<void> {
    await this.#sources.close()
    await this.#rules?.close()
    await this.#link?.close()
  }

  /** Opens the new watch before the old one is closed: no change may fall between them. */
  async #followRules(): Promise<void> {
    const { services, say } = this.#options
    const { rules, warnings } = watchRules(this.source.stack, services)
    const active = activeRules(rules)
    this.#ignoreFiles = active.ignoreFiles
    if (active.fingerprint === this.#fingerprint) return
    for (const warning of warnings) say(`warning: ${warning}`)
    if (rules.length === 0)
      say('no service has rules in develop.watch: the stack file alone is watched')
    const before = this.#rules
    this.#sender.keepOnly(rules)
    this.#rules = await openRuleWatch({
      active,
      sender: this.#sender,
      say,
      runFollowUps: (work) =>
        runFollowUps(work, {
          ...this.#options,
          stack: this.source.stack.name,
          shorten: (file) => this.#shorten(file),
          rebuild: (service) => this.#options.rebuild(this.source, service),
        }),
    })
    this.#fingerprint = active.fingerprint
    await before?.close()
  }

  async #followSources(looked: Iterable<string>): Promise<void> {
    const files = filesToFollow(looked, this.source.workingDir)
    await this.#sources.follow([...new Set([...files, ...this.#ignoreFiles])].sort())
  }

  async #reload(): Promise<void> {
    const { load, apply, say, explain } = this.#options
    const looked = new Set<string>()
    try {
      const next = await load((file) => looked.add(file))
      if (next.stack.name !== this.source.stack.name) {
        say(`the stack is called "${next.stack.name}" now: start watch again to follow it`)
        return
      }
      const isSame = contentOf(next) === contentOf(this.source)
      // Rules first: one that can't be followed is a mistake as any other.
      watchRules(next.stack, this.#options.services)
      if (!isSame) await apply(next)
      this.source = next
      await this.#followRules()
      await this.#followSources(looked)
    } catch (error) {
      say(`the stack file can't be used; everything runs on as it is\n${await explain(error)}`)
    }
  }

  #shorten(file: string): string {
    const { workingDir } = this.source
    return isWithin(file, workingDir) ? path.relative(workingDir, file) : file
  }
}

function contentOf({ stack, contents }: StackSource): string {
  return JSON.stringify([stack, contents])
}
