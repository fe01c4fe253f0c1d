/** Debian's docker-registry on loopback in a sandbox. Several sandboxes may have one on the same directory, in turn. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { eventually } from './eventually.ts'
import { copyWithLibraries } from './image.ts'
import type { Sandbox } from './sandbox.ts'

const ADDRESS = '127.0.0.1:5000'
export const REGISTRY_TAG = `${ADDRESS}/large:1`

export interface Registry {
  start(sandbox: Sandbox): Promise<void>
}

/** @returns undefined when the machine has no docker-registry */
export async function prepareRegistry(top: string): Promise<Registry | undefined> {
  const directory = path.join(top, 'registry')
  mkdirSync(directory)
  const program = await copyWithLibraries('/usr/bin/docker-registry', path.join(directory, 'root'))
  if (program === undefined) return undefined
  const file = path.join(directory, 'config.yml')
  const data = path.join(directory, 'data')
  const storage = `storage:\n  filesystem:\n    rootdirectory: ${data}\n`
  writeFileSync(file, `version: 0.1\nlog:\n  level: info\n${storage}http:\n  addr: ${ADDRESS}\n`)
  return {
    async start(sandbox) {
      let log = ''
      sandbox.start([...program, 'serve', file], (text) => {
        log += text
      })
      await eventually('the registry listens', () => log.includes('listening on'))
    },
  }
}
