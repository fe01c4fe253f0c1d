/** Whether every blow has its event, with what differed, and every start of a container its end. */
import type { ContainerSummary, EngineEvent } from '../../../src/api/types.ts'
import { vethName } from '../../../src/network/interface-names.ts'
import { collect, type DaemonFixture } from '../../daemon-fixture.ts'
import { eventually } from '../../eventually.ts'
import { STACKS } from './variants.ts'

/** Something that was done behind the daemon's back. */
export interface Fault {
  /** For people. */
  readonly what: string
  /** Whether an event that came later tells of it. */
  readonly isToldBy: (event: EngineEvent) => boolean
}

export class Accounts {
  readonly #daemon: DaemonFixture
  readonly #open: (Fault & { readonly since: string })[] = []
  /** Ids of containers that run, as the events tell. */
  readonly #running = new Set<string>()
  #last = ''

  constructor(daemon: DaemonFixture) {
    this.#daemon = daemon
  }

  /** @param since - RFC 3339, from before it was chosen what to do: a container that ran then may end before it is done */
  add(fault: Fault | undefined, since: string): void {
    if (fault !== undefined) this.#open.push({ ...fault, since })
  }

  /**
   * Goes through the events since the last time.
   * @throws {Error} naming what nothing tells of, and what was told that can't be
   */
  async settle(): Promise<void> {
    const wrong: string[] = []
    await eventually(
      'events of all that was done',
      async () => {
        for (const event of await this.#newEvents()) wrong.push(...this.#take(event))
        return this.#open.length === 0
      },
      5000,
    ).catch(() => {
      wrong.push(...this.#open.map(({ since, what }) => `nothing tells of: ${what} since ${since}`))
    })
    // One that nobody wants any more may still be on its way: its `down` went with the daemon.
    await eventually(
      'an outcome of each revision',
      async () => (await this.#unsettledRevisions()).length === 0,
    ).catch(async () => {
      wrong.push(...(await this.#unsettledRevisions()))
    })
    if (wrong.length > 0) throw new Error(`the events do not account for it:\n${wrong.join('\n')}`)
  }

  async #newEvents(): Promise<EngineEvent[]> {
    const since = this.#last === '' ? '2000-01-01T00:00:00Z' : this.#last
    const events = await collect(this.#daemon.client.events({ follow: false, since }))
    return events.filter(({ time }) => time > this.#last)
  }

  /** @returns what is wrong with it */
  #take(event: EngineEvent): string[] {
    this.#last = event.time
    for (const fault of [...this.#open])
      if (event.time >= fault.since && fault.isToldBy(event))
        this.#open.splice(this.#open.indexOf(fault), 1)
    const { type, action, id, time, attributes } = event
    if (type !== 'container') return []
    const about = `${attributes['name'] ?? id} at ${time}`
    if (action === 'start') {
      if (this.#running.has(id)) return [`a second start without an end: ${about}`]
      this.#running.add(id)
    }
    if (action === 'die' && !this.#running.delete(id)) return [`an end without a start: ${about}`]
    if (action === 'destroy' && this.#running.delete(id)) return [`removed while it ran: ${about}`]
    return []
  }

  async #unsettledRevisions(): Promise<string[]> {
    const revisions = await Promise.all(STACKS.map((stack) => this.#daemon.client.revisions(stack)))
    return revisions
      .flat()
      .filter(({ outcome }) => outcome.status === 'applying')
      .map(({ stack, number }) => `revision ${String(number)} of ${stack} has no outcome`)
  }
}

export function killedProcess({ id, name }: ContainerSummary): Fault {
  return { what: `the process of ${name} was killed`, isToldBy: (event) => isEndOf(event, id) }
}

/** An end, or an update in place, puts the limits right as well. */
export function changedLimit({ id, name }: ContainerSummary): Fault {
  return {
    what: `a limit of ${name} was changed`,
    isToldBy: (event) =>
      isEndOf(event, id) ||
      (event.action === 'update' && event.id === id) ||
      (isDrift(event, 'limits', name) && /memory/.test(event.attributes['difference'] ?? '')),
  }
}

export function deletedInterface(
  interfaceName: string,
  containers: readonly ContainerSummary[],
): Fault | undefined {
  const owner = containers.find(({ id, networks }) =>
    Object.keys(networks).some((network) => vethName(id, network) === interfaceName),
  )
  if (owner === undefined) return undefined
  return {
    what: `interface ${interfaceName} of ${owner.name} was deleted`,
    isToldBy: (event) =>
      isEndOf(event, owner.id) ||
      (isDrift(event, 'endpoint', owner.name) &&
        event.attributes['difference']?.includes(interfaceName) === true),
  }
}

/** A daemon that starts writes all rules anew; where there is no stack any more nobody misses them. */
export function flushedRules(): Fault {
  return {
    what: 'the rules were flushed',
    isToldBy: (event) =>
      isDrift(event, 'firewall', event.stack) ||
      event.type === 'daemon' ||
      (event.type === 'stack' && event.action === 'destroy'),
  }
}

export function killedDaemon(): Fault {
  return {
    what: 'the daemon was ended',
    isToldBy: ({ type, action }) => type === 'daemon' && action === 'start',
  }
}

function isEndOf({ action, id }: EngineEvent, container: string): boolean {
  return action === 'die' && id === container
}

function isDrift({ action, attributes }: EngineEvent, kind: string, subject: string): boolean {
  return action === 'drift' && attributes['kind'] === kind && attributes['subject'] === subject
}
