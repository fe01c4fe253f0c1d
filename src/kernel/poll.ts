/** Waiting for descriptors that Node has no stream for: pidfds, eventfds, netlink sockets. */
import koffi from 'koffi'

export interface Watch {
  /** Stops watching; safe to call twice. Does not close the descriptor. */
  close(): void
}

/**
 * Calls back on the event loop each time the descriptor is readable (level-triggered: a pidfd stays readable, so close
 * the watch). Does not keep the process alive.
 */
export function watchReadable(fd: number, onReadable: () => void): Watch {
  const handle = koffi.node.poll(fd, { readable: true }, () => {
    if (open) onReadable()
  })
  handle.unref()
  let open = true
  return {
    close() {
      if (!open) return
      open = false
      handle.stop()
      setImmediate(() => {
        handle.close()
      }) // not within its own callback: koffi frees it at once
    },
  }
}
