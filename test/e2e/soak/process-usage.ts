/** What a process holds: what a leak makes grow. */
import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessUsage {
  readonly residentBytes: number
  readonly descriptors: number
  readonly threads: number
}

/** From /proc/PID/status and /proc/PID/fd (man 5 proc). */
export function processUsage(pid: number): ProcessUsage {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8')
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
  return {
    residentBytes: field('VmRSS') * 1024,
    descriptors: readdirSync(`/proc/${String(pid)}/fd`).length,
    threads: field('Threads'),
  }
}

/** The least that was held in a part of the samples: garbage comes and goes, what is kept stays. */
export function leastResident(samples: readonly ProcessUsage[], from: number, to: number): number {
  const part = samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to))
  return Math.min(...part.map(({ residentBytes }) => residentBytes))
}
