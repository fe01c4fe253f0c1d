/** What the keeper (kernel/descriptor-keeper.ts) holds for the containers that run, and taking it back after a crash. */
import {
  findKeeper,
  startKeeper,
  type DescriptorKeeper,
  type FoundKeeper,
  type KeeperIdentity,
} from '../kernel/descriptor-keeper.ts'
import { log } from '../log.ts'
import type { Collection, StateStore } from '../state/state-store.ts'

/** Where descriptors are: the pid of the keeper, and their numbers in it by what they are: `pidfd`, `terminal`, … */
interface Kept {
  readonly keeper: number
  readonly numbers: Readonly<Record<string, number>>
}

/** Not for use in a transaction: what is undone there can't be undone in the keeper. */
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

export function openKeptDescriptors(state: StateStore): KeptDescriptors {
  return new KeptByKeeper(state)
}

class KeptByKeeper implements KeptDescriptors {
  readonly #identities: Collection<KeeperIdentity>
  readonly #kept: Collection<Kept>
  readonly #held = new Map<string, Readonly<Record<string, number>>>()
  readonly #beside = new Map<string, Readonly<Record<string, number>>>()
  #keeper: DescriptorKeeper | undefined

  constructor(state: StateStore) {
    this.#identities = state.collection('keeper') // durable, or it is not settled
    this.#kept = state.collection('kept', { ofFacts: true })
  }

  keep(containerId: string, descriptors: Readonly<Record<string, number>>): void {
    this.#held.set(containerId, descriptors)
    this.#hand(this.#keeper ?? this.#open(), containerId, descriptors)
  }

  holdBeside(key: string, descriptors: Readonly<Record<string, number>>): void {
    this.#beside.set(key, descriptors)
    if (this.#keeper !== undefined) this.#hand(this.#keeper, key, descriptors)
  }

  release(key: string): void {
    this.#beside.delete(key)
    this.#kept.delete(key)
    if (this.#keeper !== undefined) this.#renew(this.#keeper)
  }

  forget(containerId: string): void {
    this.#held.delete(containerId)
    this.#kept.delete(containerId)
    if (this.#keeper === undefined) return
    const needed = countOf(this.#held) + countOf(this.#beside)
    if (this.#held.size === 0 || this.#keeper.count - needed >= MAX_STALE) this.#renew(this.#keeper)
  }

  #open(): DescriptorKeeper {
    const keeper = this.#start()
    this.#keeper = keeper
    for (const [key, beside] of this.#beside) this.#hand(keeper, key, beside)
    return keeper
  }

  /** Whenever the daemon is killed, the next one finds every keeper that is there; each descriptor says where it is. */
  #start(): DescriptorKeeper {
    const keeper = startKeeper()
    try {
      this.#identities.put(keyOf(keeper), keeper.identity)
    } catch (error) {
      keeper.close()
      throw error
    }
    keeper.settle()
    return keeper
  }

  #end(keeper: DescriptorKeeper): void {
    keeper.close()
    this.#identities.delete(keyOf(keeper))
  }

  /** What is not needed any more is let go of. Where that can't be (a full disk), it is held a while longer. */
  #renew(old: DescriptorKeeper): void {
    try {
      this.#replace(old)
    } catch (error) {
      log.warn('keeper was not replaced', { error })
    }
  }

  /** One keeper goes, and another comes where there is something to hold for a container. */
  #replace(old: DescriptorKeeper): void {
    if (this.#held.size === 0) {
      this.#keeper = undefined
      for (const key of this.#beside.keys()) this.#kept.delete(key)
    } else {
      const successor = this.#start()
      for (const [key, descriptors] of [...this.#beside, ...this.#held])
        this.#hand(successor, key, descriptors)
      this.#keeper = successor
    }
    this.#end(old)
  }

  recover(): RecoveredDescriptors {
    const kept = new Map(this.#kept.entries())
    const identities = this.#identities.entries()
    const keepers = new Map<number, FoundKeeper>()
    for (const [, identity] of identities) {
      const found = findKeeper(identity)
      if (found !== undefined) keepers.set(identity.pid, found)
    }
    return {
      take: (containerId, name) => {
        const entry = kept.get(containerId)
        const number = entry?.numbers[name]
        return entry === undefined || number === undefined
          ? undefined
          : keepers.get(entry.keeper)?.take(number)
      },
      close: () => {
        for (const found of keepers.values()) found.close()
        for (const [key] of identities)
          if (this.#keeper === undefined || key !== keyOf(this.#keeper))
            this.#identities.delete(key)
        for (const id of kept.keys())
          if (!this.#held.has(id) && !this.#beside.has(id)) this.#kept.delete(id)
      },
    }
  }

  #hand(
    keeper: DescriptorKeeper,
    key: string,
    descriptors: Readonly<Record<string, number>>,
  ): void {
    const numbers: Record<string, number> = {}
    for (const [name, fd] of Object.entries(descriptors)) {
      const number = keeper.keep(fd)
      if (number !== undefined) numbers[name] = number
    }
    this.#kept.put(key, { keeper: keeper.identity.pid, numbers })
  }
}

function keyOf({ identity }: DescriptorKeeper): string {
  return String(identity.pid)
}

function countOf(held: ReadonlyMap<string, Readonly<Record<string, number>>>): number {
  return [...held.values()].reduce((sum, descriptors) => sum + Object.keys(descriptors).length, 0)
}
