import { expect, test } from 'vitest'
import { plainLine } from '../../src/cli/progress.ts'
import {
  createNumbering,
  transferProgress,
  type OperationEvent,
} from '../../src/reconciler/transfer-progress.ts'

test('transferProgress() tells of the whole what is waited for, and of a layer why it is tried again', () => {
  const events: OperationEvent[] = []
  const tell = (event: OperationEvent): void => {
    events.push(event)
  }
  const words = ['Pulling', 'Pulled'] as const
  const progress = transferProgress(tell, { name: 'app:1', number: createNumbering(), words })
  const digest = `sha256:${'ab'.repeat(32)}`
  progress.onNotice('too many requests; again in 3 s')
  progress.onLayer({ digest, state: 'retrying', detail: 'the connection was cut; again in 1 s' })
  progress.onLayer({ digest, state: 'downloading', current: 500, total: 1000 })
  progress.onLayer({ digest, state: 'done' })
  progress.done()
  expect(events.map((event) => plainLine(event))).toEqual([
    ' Image app:1 Pulling',
    ' Image app:1 Pulling too many requests; again in 3 s',
    ' abababababab Retrying the connection was cut; again in 1 s',
    ' abababababab Downloading 500B/1kB',
    ' abababababab Pull complete',
    ' Image app:1 Pulled',
  ])
})
