import { expect, test } from 'vitest'
import { resumeStream } from '../../src/client/resume-stream.ts'
import { TsstackError } from '../../src/errors.ts'

interface Item {
  readonly time: string
  readonly from: string
  readonly text: string
}

/** A log that daemons serve one after the other; each sends as many items as it is told to, and leaves. */
function servedBy(log: readonly Item[], shares: readonly number[]) {
  const asked: (string | undefined)[] = []
  const open = async function* (since: string | undefined): AsyncGenerator<readonly Item[], void> {
    const share = shares[asked.length] ?? 0
    asked.push(since)
    if (share < 0) throw new TsstackError('UNAVAILABLE', 'Cannot reach the daemon: it is not there')
    const items = log.filter(({ time }) => since === undefined || time >= since).slice(0, share)
    await Promise.resolve()
    for (const item of items) yield [item]
  }
  return { asked, open }
}

async function take(
  count: number,
  open: (since: string | undefined) => AsyncGenerator<readonly Item[], void>,
): Promise<string[]> {
  const texts: string[] = []
  const stream = resumeStream({ open, sourceOf: ({ from }) => from, signal: undefined })
  for await (const batch of stream) {
    texts.push(...batch.map(({ text }) => text))
    if (texts.length >= count) return texts
  }
  return texts
}

const item = (time: number, from: string, text: string): Item => ({
  time: `2026-01-01T00:00:0${time}Z`,
  from,
  text,
})

test('resumeStream() gives each item once, through daemons that leave and one that is not there yet', async () => {
  const log = [
    item(1, 'a', '1'),
    item(2, 'a', '2'),
    item(2, 'a', '3'),
    item(2, 'b', '4'),
    item(3, 'b', '5'),
    item(4, 'a', '6'),
  ]
  const { asked, open } = servedBy(log, [2, -1, 3, 10])
  expect(await take(6, open)).toEqual(['1', '2', '3', '4', '5', '6'])
  expect(asked).toEqual([undefined, log[1]?.time, log[1]?.time, log[1]?.time])
})

test('resumeStream() fails at once when the first daemon is not there', async () => {
  const { open } = servedBy([], [-1])
  await expect(take(1, open)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('resumeStream() asks for what comes after it was opened when nothing had come', async () => {
  const { asked, open } = servedBy([item(9, 'a', 'later')], [0, 1])
  const before = new Date().toISOString()
  const texts = take(1, open).catch(() => [])
  await expect.poll(() => asked.length).toBeGreaterThan(1)
  expect(asked[0]).toBeUndefined()
  expect(asked[1] ?? '').toMatch(/^\d{4}-/)
  expect((asked[1] ?? '') >= before).toBe(true)
  void texts
})
