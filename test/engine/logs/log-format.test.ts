import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatLog, parseLog, timestamp } from '../../../src/engine/logs/log-format.ts'

const TIME = '2026-01-02T03:04:05.678901234Z'
const lines = (raw: Buffer): string[] =>
  formatLog(raw, 'stdout', TIME).toString().split('\n').slice(0, -1)

describe('formatLog()', () => {
  test('parseLog() gives back what was formatted, line by line', () => {
    const line = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('"', '\\', '\t', '\0', '\x1b[31m', 'é', '𝄞', '{"a":"b"}', ''),
    )
    fc.assert(
      fc.property(
        fc.array(
          line.map((text) => text.replaceAll('\n', ' ')),
          { minLength: 1 },
        ),
        fc.boolean(),
        (texts, isComplete) => {
          const raw = texts.join('\n') + (isComplete ? '\n' : '')
          fc.pre(raw !== '')
          const parsed = lines(Buffer.from(raw)).map((text) => parseLog(text))
          expect(parsed.map((record) => record?.log).join('')).toBe(raw)
          expect(parsed.length).toBe(
            isComplete || texts.at(-1) !== '' ? texts.length : texts.length - 1,
          )
          for (const record of parsed)
            expect(record).toMatchObject({ stream: 'stdout', time: TIME })
        },
      ),
    )
  })

  test('is the format of Docker, byte by byte', () => {
    expect(lines(Buffer.from('plain\nsay "hi"\n'))).toEqual([
      `{"log":"plain\\n","stream":"stdout","time":"${TIME}"}`,
      `{"log":"say \\"hi\\"\\n","stream":"stdout","time":"${TIME}"}`,
    ])
  })

  test('any bytes make lines that can be read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (bytes) => {
        const raw = Buffer.from(bytes)
        expect(
          lines(raw)
            .map((text) => parseLog(text)?.log)
            .join(''),
        ).toBe(raw.toString('utf8'))
      }),
    )
  })
})

describe('parseLog()', () => {
  test.each([
    '',
    '{',
    'null',
    '[]',
    '{"log":"x"}',
    '{"log":"x\\n","stream":"stdout","time":',
    '42',
  ])('gives nothing for the damaged line %j', (line) => {
    expect(parseLog(line)).toBeUndefined()
  })
})

describe('timestamp()', () => {
  test('is now, to the nanosecond, and never goes back', () => {
    const times = Array.from({ length: 1000 }, timestamp)
    for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
    expect(times).toEqual([...times].sort())
    expect(Math.abs(Date.parse(times.at(-1) ?? '') - Date.now())).toBeLessThan(100)
  })
})
