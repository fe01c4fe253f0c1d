/** Waiting for descriptors that Node has no stream for: pidfds, eventfds, netlink sockets. */
import koffi from 'koffi'

export interface Watch {
  /**
   * Stops watching; safe to call twice. Does not close the descriptor. Called from within the callback, the descriptor
   * must stay open until the turn of the event loop is over (setImmediate).
   */
  close(): void
}

/**
 * Calls back on the event loop each time the descriptor is readable (level-triggered: a pidfd stays readable, so close
 * the watch). Does not keep the process alive.
 */
export function watchReadable(fd: number, onReadable: () => void): Watch {
  let open = true
  let isCalling = false
  const handle = koffi.node.poll(fd, { readable: true }, () => {
    if (!open) return
    isCalling = true
    try {
      onReadable()
    } finally {
      isCalling = false
    }
  })
  handle.unref()
  return {
    close() {
      if (!open) return
      open = false
      handle.stop()
      // Not within its own callback: koffi frees it at once. Otherwise now: libuv forgets the descriptor by its number,
      // which may be another one's a moment later, whose watcher would then never be called.
      if (isCalling)
        setImmediate(() => {
          handle.close()
        })
      else handle.close()
    },
  }
}
