import type { ContainerIo, OutputListener } from '../engine/container-io.ts'
import type { Context } from './context.ts'

/** Hears a container's output from its next byte on, even if it has not started yet. Call the result to stop. */
export function listenToOutput(context: Context, id: string, listener: OutputListener): () => void {
  const listeners = context.outputListeners.get(id) ?? new Set()
  context.outputListeners.set(id, listeners.add(listener))
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) context.outputListeners.delete(id)
  }
}

/** Passes the output of a container that starts on to its listeners. */
export function connectListeners(context: Context, id: string, io: ContainerIo): void {
  io.onOutput((stream, bytes) => {
    for (const listener of context.outputListeners.get(id) ?? []) listener(stream, bytes)
  })
}
