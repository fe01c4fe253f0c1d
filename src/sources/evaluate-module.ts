/**
 * Evaluates a stack.ts with the rights of the user who named it. `import … from "tsstack"` in it, and in what it
 * imports, is this tsstack: the same program that will read its value.
 */
import { statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import type { ResolveFnOutput } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ModuleValue } from '../spec/fetched.ts'

const DOOR = pathToFileURL(join(import.meta.dirname, '..', 'index.ts')).href
const TYPESCRIPT = /\.m?ts$/

/** Files without a package.json are ES modules: Node would guess it, and warn. */
function withFormat(resolved: ResolveFnOutput): ResolveFnOutput {
  if (resolved.format !== undefined && resolved.format !== null) return resolved
  const { pathname, protocol } = new URL(resolved.url)
  if (protocol !== 'file:') return resolved
  if (TYPESCRIPT.test(pathname)) return { ...resolved, format: 'module-typescript' }
  return resolved
}

let hooked = false

function hook(): void {
  if (hooked) return
  hooked = true
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'tsstack'
        ? { url: DOOR, format: 'module-typescript', shortCircuit: true }
        : withFormat(next(specifier, context)),
  })
}

/** A module of one function, which is loaded as it is wherever this file is. */
const NATIVE = 'data:text/javascript,export default (url) => import(url)'

/** By Node, though a test runner may have put an `import()` of its own into this file. */
async function importNatively(url: string): Promise<{ readonly default?: unknown }> {
  const native = (await import(NATIVE)) as {
    readonly default: (url: string) => Promise<{ readonly default?: unknown }>
  }
  return native.default(url)
}

/** The default export of a module, or why there is none: what its author would want to know, never a stack trace. */
export async function evaluateModule(file: string): Promise<ModuleValue> {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat?.isFile() !== true) {
    return {
      problem: `cannot read ${file}: no such file or directory`,
      suggestion: 'create it, or correct the path',
    }
  }
  hook()
  // A module is evaluated once in a process; a file that was changed is another one.
  const url = `${pathToFileURL(file).href}?modified=${String(stat.mtimeMs)}`
  try {
    const module = await importNatively(url)
    const value = await module.default
    if (typeof value !== 'object' || value === null) return noStack(value)
    return { value }
  } catch (error) {
    return failureOf(error, file)
  }
}

function noStack(value: unknown): ModuleValue {
  const found =
    value === undefined ? 'no default export' : `a default export that is ${kindOf(value)}`
  return {
    problem: `it has ${found}`,
    suggestion: 'write export default defineStack({ services: { … } })',
  }
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : `a ${typeof value}`
}

/** The message, and the line of the file, as deep as the error knows it. */
function failureOf(thrown: unknown, file: string): ModuleValue {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const problem = `cannot evaluate it: ${error.message.split('\n', 1)[0] ?? ''}`
  const suggestion =
    'correct the program; it runs on Node 24, which strips types and takes no enums'
  const place = placeIn(error.stack ?? '', file)
  return { problem, suggestion, ...place }
}

/** `file:line:column` in a stack trace; a syntax error has the line above the message. */
function placeIn(
  trace: string,
  file: string,
): { readonly line: number; readonly column: number } | undefined {
  for (const name of [pathToFileURL(file).href, file]) {
    const at = trace.indexOf(name)
    if (at === -1) continue
    const rest = trace.slice(at + name.length)
    const match = /^(?:\?modified=[0-9.]+)?:(\d+)(?::(\d+))?/.exec(rest)
    if (match === null) continue
    return { line: Number(match[1]), column: Number(match[2] ?? caretOf(rest)) }
  }
  return undefined
}

/** Of the excerpt under a syntax error: the line, and below it where the mistake is. */
function caretOf(rest: string): number {
  const column = rest.split('\n', 3)[2]?.indexOf('^') ?? -1
  return Math.max(1, column + 1)
}
