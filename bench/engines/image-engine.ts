import path from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Sandbox } from '../sandbox.ts'

/** What is measured of images: whole commands, whose words each function gives. Absent is what an engine has not. */
export interface ImageEngine {
  readonly id: string
  /** With versions, for the table. */
  readonly title: string
  readonly sandbox: Sandbox
  readonly images: ImageCommands
  close(): Promise<void>
}

export interface ImageCommands {
  /** Removes images that no container uses, and what builds have cached. */
  readonly clear: readonly string[]
  /** Brings in the image of an archive (image-archive.ts). */
  readonly load: (archive: string, tag: string) => readonly string[]
  /** From a registry without TLS. */
  readonly pull: (reference: string) => readonly string[]
  readonly build?: (context: string) => readonly string[]
  /** A container that runs `true`, and is removed. */
  readonly run?: (tag: string) => readonly string[]
}

/** A directory of its own for each stack file, and a file for it. */
export function writeImageStack(work: string, name: string, service: object): string {
  const directory = path.join(work, name)
  mkdirSync(directory, { recursive: true })
  const file = path.join(directory, 'stack.yaml')
  writeFileSync(file, JSON.stringify({ services: { one: service } }))
  return file
}
