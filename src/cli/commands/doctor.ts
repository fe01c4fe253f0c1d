import type { DoctorCheck } from '../../api/types.ts'
import type { Command } from '../command.ts'
import { createStyle } from '../style.ts'
import type { Style } from '../style.ts'
import { printable } from '../table.ts'

/** One check: a sign, its name, what was found; and what mends it. Pure. */
export function formatCheck({ name, status, detail, remedy }: DoctorCheck, style: Style): string {
  const sign = {
    ok: style.green('ok     '),
    warning: style.yellow('warning'),
    missing: style.red('missing'),
  }[status]
  const mend =
    status === 'ok' || remedy === undefined ? '' : `         remedy: ${printable(remedy)}\n`
  return `${sign}  ${style.bold(name)}: ${printable(detail)}\n${mend}`
}

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Say what this host lacks, and the exact remedy',
  details: 'Exit code: 0 when nothing is missing (warnings are allowed), 1 otherwise.',
  flags: [{ name: 'json', kind: 'bool', help: 'The checks as JSON' }],
  examples: [
    ['tsstack doctor', 'What the host offers: namespaces, cgroups, overlayfs, networking'],
  ],
  arguments: { min: 0, max: 0 },
  async run({ flags, output, client }) {
    const checks = await (await client()).doctor()
    if (flags.bool('json')) output.write(`${JSON.stringify(checks, null, 2)}\n`)
    else output.write(checks.map((check) => formatCheck(check, createStyle(output.color))).join(''))
    return checks.some((check) => check.status === 'missing') ? 1 : 0
  },
}
