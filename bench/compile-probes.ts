import { execa } from 'execa'
import path from 'node:path'

const PROBES = ['sandbox', 'run-in', 'floor', 'log-lines', 'dns-latency', 'tick'] as const

export type Probe = (typeof PROBES)[number]
export type Probes = Readonly<Record<Probe, string>>

/** Compiles the C programs beside this file, statically: they run on the machine and in containers alike. Needs `cc`. */
export async function compileProbes(directory: string): Promise<Probes> {
  const compiled = PROBES.map(async (name) => {
    const source = path.join(import.meta.dirname, 'probes', `${name}.c`)
    const program = path.join(directory, name)
    await execa('cc', ['-O2', '-static', '-o', program, source])
    return [name, program] as const
  })
  return Object.fromEntries(await Promise.all(compiled)) as Record<Probe, string>
}
