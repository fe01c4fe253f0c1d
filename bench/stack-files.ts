/** The stack files that are measured: JSON, which is YAML, the same for every engine but for the image's name. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'

export interface BenchService {
  readonly command: readonly string[]
  readonly ports?: readonly string[]
  readonly mem_limit?: string
  readonly cpus?: number
  readonly deploy?: { readonly update_config: { readonly order: string } }
  readonly pids_limit?: number
  readonly restart?: string
  readonly healthcheck?: { readonly test: readonly string[]; readonly interval: string }
  readonly logging?: { readonly driver: string; readonly options: Readonly<Record<string, string>> }
}

/** First processes ignore SIGTERM unless they handle it (man 7 pid_namespaces); nobody shall wait 10 s for that. */
const STOP = { stop_signal: 'SIGKILL' }

const IDLE: BenchService = { command: ['sleep', 'infinity'] }

/** So many services that only sleep, on one network. */
export function idleServices(
  count: number,
  more: Partial<BenchService> = {},
): Record<string, BenchService> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`s${index + 1}`, { ...IDLE, ...more }]),
  )
}

export function writeStackFile(
  directory: string,
  name: string,
  stack: { readonly image: string; readonly services: Readonly<Record<string, BenchService>> },
): string {
  const services = Object.fromEntries(
    Object.entries(stack.services).map(([service, fields]) => [
      service,
      { image: stack.image, ...STOP, networks: ['net'], ...fields },
    ]),
  )
  const file = path.join(directory, `${name}.yaml`)
  writeFileSync(file, JSON.stringify({ services, networks: { net: {} } }, undefined, 1))
  return file
}
