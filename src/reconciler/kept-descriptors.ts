/** What the keeper (kernel/descriptor-keeper.ts) holds for the containers that run, and taking it back after a crash. */
import {
  findKeeper,
  startKeeper,
  type DescriptorKeeper,
  type FoundKeeper,
  type KeeperIdentity,
} from '../kernel/descriptor-keeper.ts'
import type { Collection, StateStore } from '../state/state-store.ts'

/** Numbers in the keeper by what they are: `pidfd`, `terminal`, `stdout`, … */
type KeptNumbers = Readonly<Record<string, number>>

export interface KeptDescriptors {
  /** Holds the descriptors of a container that has just been started or adopted. */
  keep(containerId: string, descriptors: Readonly<Record<string, number>>): void
  /** The container has ended. With the last one the keeper ends too. */
  forget(containerId: string): void
  /** Holds descriptors of something else, but only while containers run. They must stay open until `release`. */
  holdBeside(key: string, descriptors: Readonly<Record<string, number>>): void
  /** Lets go of them at once: what they hold on to is free then. */
  release(key: string): void
  /** After a restart, before anything is kept: what the last daemon's keeper holds. */
  recover(): RecoveredDescriptors
}

export interface RecoveredDescriptors {
  /** @returns a descriptor that is the caller's now */
  take(containerId: string, name: string): number | undefined
  /** Lets go of all that was not taken. */
  close(): void
}

/** Descriptors of ended containers that the keeper may go on holding before it is replaced. */
const MAX_STALE = 256
const KEEPER = 'keeper'

export function openKeptDescriptors(state: StateStore): KeptDescriptors {
  return new Kept(state)
}

class Kept implements KeptDescriptors {
  readonly #identities: Collection<KeeperIdentity>
  readonly #numbers: Collection<KeptNumbers>
  readonly #held = new Map<string, Readonly<Record<string, number>>>()
  readonly #beside = new Map<string, Readonly<Record<string, number>>>()
  #keeper: DescriptorKeeper | undefined

  constructor(state: StateStore) {
    this.#identities = state.collection('keeper')
    this.#numbers = state.collection('kept')
  }

  keep(containerId: string, descriptors: Readonly<Record<string, number>>): void {
    this.#held.set(containerId, descriptors)
    this.#numbers.put(containerId, this.#send(descriptors))
  }

  holdBeside(key: string, descriptors: Readonly<Record<string, number>>): void {
    this.#beside.set(key, descriptors)
    if (this.#keeper !== undefined) this.#numbers.put(key, this.#send(descriptors))
  }

  release(key: string): void {
    this.#beside.delete(key)
    this.#numbers.delete(key)
    if (this.#keeper !== undefined) this.#renew()
  }

  forget(containerId: string): void {
    this.#held.delete(containerId)
    this.#numbers.delete(containerId)
    if (this.#keeper === undefined) return
    const needed = countOf(this.#held) + countOf(this.#beside)
    if (this.#held.size === 0 || this.#keeper.count - needed >= MAX_STALE) this.#renew()
  }

  /** One keeper goes, and another comes where there is something to hold for a container. */
  #renew(): void {
    const old = this.#keeper
    this.#keeper = undefined
    for (const [id, descriptors] of this.#held) this.#numbers.put(id, this.#send(descriptors))
    old?.close()
    if (this.#held.size > 0) return
    for (const key of this.#beside.keys()) this.#numbers.delete(key)
    this.#identities.delete(KEEPER)
  }

  recover(): RecoveredDescriptors {
    const identity = this.#identities.get(KEEPER)
    const numbers = new Map(this.#numbers.entries())
    const found: FoundKeeper | undefined = identity === undefined ? undefined : findKeeper(identity)
    return {
      take: (containerId, name) => {
        const number = numbers.get(containerId)?.[name]
        return number === undefined ? undefined : found?.take(number)
      },
      close: () => {
        found?.close()
        for (const id of numbers.keys()) if (!this.#held.has(id)) this.#numbers.delete(id)
        if (this.#keeper === undefined) this.#identities.delete(KEEPER)
      },
    }
  }

  #send(descriptors: Readonly<Record<string, number>>): KeptNumbers {
    const keeper = this.#keeper ?? startKeeper()
    if (this.#keeper === undefined) {
      this.#keeper = keeper
      this.#identities.put(KEEPER, keeper.identity)
      for (const [key, beside] of this.#beside) this.#numbers.put(key, this.#send(beside))
    }
    return Object.fromEntries(
      Object.entries(descriptors).map(([name, fd]) => [name, keeper.keep(fd)]),
    )
  }
}

function countOf(held: ReadonlyMap<string, Readonly<Record<string, number>>>): number {
  return [...held.values()].reduce((sum, descriptors) => sum + Object.keys(descriptors).length, 0)
}
