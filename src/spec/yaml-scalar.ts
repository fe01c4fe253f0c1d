/**
 * What an unquoted YAML scalar means. It is what go-yaml (which Compose reads files with) makes of it: YAML 1.2's core
 * schema, plus octal `017`, binary, `_` in numbers and dates; `yes`, `on` and `12:30` are text.
 */
import type { Scalar } from './stack.ts'

export interface ResolvedScalar {
  readonly value: Scalar
  /** How it reads as text, where that is not `String(value)`. */
  readonly text?: string
}

const WORDS: Readonly<Record<string, Scalar>> = {
  '': null,
  '~': null,
  null: null,
  Null: null,
  NULL: null,
  true: true,
  True: true,
  TRUE: true,
  false: false,
  False: false,
  FALSE: false,
  '.nan': NaN,
  '.NaN': NaN,
  '.NAN': NaN,
  '.inf': Infinity,
  '.Inf': Infinity,
  '.INF': Infinity,
  '+.inf': Infinity,
  '+.Inf': Infinity,
  '+.INF': Infinity,
  '-.inf': -Infinity,
  '-.Inf': -Infinity,
  '-.INF': -Infinity,
}

const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/
const DATE =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d?):(\d\d?)(?:\.(\d+))?(?:[ \t]*(?:[Zz]))?)?$/
const MAX_NUMBER_LENGTH = 64

/** The value of a plain (unquoted) scalar. */
export function resolvePlainScalar(source: string): ResolvedScalar {
  if (Object.hasOwn(WORDS, source)) {
    const value = WORDS[source] ?? null
    return typeof value === 'number' ? { value, text: goFloat(value) } : { value }
  }
  const first = source.charCodeAt(0)
  const mayBeNumber = (first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46
  if (!mayBeNumber || source.length > MAX_NUMBER_LENGTH) return { value: source }
  return resolveNumber(source.replaceAll('_', '')) ?? resolveDate(source) ?? { value: source }
}

function resolveNumber(source: string): ResolvedScalar | undefined {
  const match = INTEGER.exec(source)
  if (match !== null) {
    const [, sign = '', hexadecimal, binary, octal, decimal] = match
    const digits =
      hexadecimal !== undefined
        ? `0x${hexadecimal}`
        : binary !== undefined
          ? `0b${binary}`
          : octal !== undefined
            ? `0o${octal}`
            : (decimal ?? '0')
    const exact = sign === '-' ? -BigInt(digits) : BigInt(digits)
    const value = Number(exact)
    if (Number.isSafeInteger(value)) return { value: value === 0 ? 0 : value }
    return { value, text: exact.toString() }
  }
  if (!FLOAT.test(source)) return undefined
  const value = Number(source)
  return { value, text: goFloat(value) }
}

function resolveDate(source: string): ResolvedScalar | undefined {
  const match = DATE.exec(source)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match
    .slice(1, 7)
    .map((part) => Number(part || 0))
  const time = new Date(Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second))
  if (time.getUTCDate() !== day || time.getUTCMonth() + 1 !== month) return undefined
  const [date, clock] = time.toISOString().split('T')
  const fraction = (match[7] ?? '').replace(/0+$/, '')
  const text = `${date ?? ''} ${clock?.slice(0, 8) ?? ''}${fraction === '' ? '' : `.${fraction}`} +0000 UTC`
  return { value: text }
}

/** A float as Go's `%v` prints it: an exponent of at least two digits below 1e-4 and from 1e6 on. */
export function goFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  const scientific = value.toExponential()
  const exponent = Number(scientific.slice(scientific.indexOf('e') + 1))
  if (exponent >= -4 && exponent < 6) return String(value)
  return scientific.replace(/e([-+])(\d)$/, 'e$10$2')
}
