/** Watch beside the output of `up`: loaded when it is first asked for, by a flag or by a key. */
import type { StackWatch } from '../watch/stack-watch.ts'
import type { WatchStack } from './watch-stack.ts'

export function watchSwitch(watching: WatchStack): StackWatch {
  let watch: StackWatch | undefined
  return {
    get isActive() {
      return watch?.isActive ?? false
    },
    start: async () => {
      watch ??= (await import('./watch-stack.ts')).watchStack(watching)
      await watch.start()
    },
    stop: async () => {
      await watch?.stop()
    },
  }
}
