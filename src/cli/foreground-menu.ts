/** The keys of `up --menu`: `w` follows files or stops following them, `d` leaves the containers running. */
import type { StackWatch } from '../watch/stack-watch.ts'
import type { CommandContext } from './command.ts'
import { explainError } from './error-text.ts'
import { menuScreen, type MenuKey, type MenuScreen } from './menu.ts'
import { isTerminal } from './output.ts'
import { createStyle } from './style.ts'
import { isSwitchedOn } from './switched-on.ts'

/** Where there is a terminal to show a menu on and to press keys at, and the user wants one. */
export function screenOf({ flags, env, output }: CommandContext): MenuScreen | undefined {
  const isWanted = flags.has('menu') ? flags.bool('menu') : isSwitchedOn(env['COMPOSE_MENU'])
  return isWanted && output.isTerminal && isTerminal(0) ? menuScreen(output) : undefined
}

function toggle(watch: StackWatch, { output }: CommandContext): void {
  const changed = watch.isActive ? watch.stop() : watch.start()
  changed.catch(async (error: unknown) => {
    output.note(await explainError(error, createStyle(output.errorColor)))
  })
}

/** @param context - with the output that goes around the menu */
export function foregroundKeys(
  context: CommandContext,
  watch: StackWatch,
  detach: () => void,
): readonly MenuKey[] {
  return [
    {
      key: 'w',
      title: () => `${watch.isActive ? 'Disable' : 'Enable'} Watch`,
      press: () => {
        toggle(watch, context)
      },
    },
    { key: 'd', title: () => 'Detach', press: detach },
  ]
}
