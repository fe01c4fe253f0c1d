import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { readElf, type ElfFile } from '../../../src/engine/images/elf.ts'
import {
  expandTokens,
  openLibrarySearch,
  parseLibraryCache,
} from '../../../src/engine/images/library-search.ts'

function readFile(file: string): ElfFile | undefined {
  const fd = fs.openSync(file, 'r')
  try {
    return readElf(fd)
  } finally {
    fs.closeSync(fd)
  }
}

function readBytes(bytes: Buffer): ElfFile | undefined {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-elf-'))
  try {
    fs.writeFileSync(path.join(directory, 'file'), bytes)
    return readFile(path.join(directory, 'file'))
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

test('readElf() reads the interpreter and the libraries of the Node that runs this', () => {
  const elf = readFile(process.execPath)
  expect(elf?.interpreter).toMatch(/ld-(linux|musl)/)
  expect(elf?.needed).toContainEqual(expect.stringMatching(/^lib(c|dl|stdc\+\+)\b/))
})

test('readElf() gives nothing for a file that is none, and does not fail on a damaged one', () => {
  expect(readBytes(Buffer.from('#!/bin/sh\n'))).toBeUndefined()
  const head = Buffer.alloc(8192)
  const fd = fs.openSync(process.execPath, 'r')
  fs.readSync(fd, head, 0, head.length, 0)
  fs.closeSync(fd)
  for (let at = 4; at < 256; at++) {
    const damaged = Buffer.from(head)
    damaged[at] = 0xff
    expect(() => readBytes(damaged)).not.toThrow()
  }
})

test('openLibrarySearch() finds every library of the Node that runs this', () => {
  const elf = readFile(process.execPath)
  if (elf === undefined) throw new Error('the Node that runs this is no ELF file')
  const search = openLibrarySearch()
  const options = { origin: path.dirname(process.execPath), inherited: [] }
  for (const name of elf.needed) {
    const found = search.find(name, elf, options)
    expect(fs.existsSync(found?.path ?? ''), name).toBe(true)
  }
  expect(search.find('libtsstack-missing.so', elf, options)).toBeUndefined()
})

test('parseLibraryCache() gives nothing for what is no cache', () => {
  expect(parseLibraryCache(Buffer.from('nothing')).size).toBe(0)
  expect(
    parseLibraryCache(Buffer.concat([Buffer.from('glibc-ld.so.cache1.1'), Buffer.alloc(40, 0xff)]))
      .size,
  ).toBe(0)
})

test('expandTokens() puts the directory of the file for $ORIGIN', () => {
  expect(expandTokens('$ORIGIN/../lib', '/opt/x/bin')).toBe('/opt/x/bin/../lib')
  expect(expandTokens('${ORIGIN}', '/opt')).toBe('/opt')
})
