/** A few hundred of the cases of `npm run test:fuzz`, always the same ones. */
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CASES, readCorpus } from './corpus.ts'
import { fuzzInput, loadFuzzed } from './fuzz-case.ts'

const COUNT = 400

test(`loadStack() gives a model or an error of ours for ${String(COUNT)} mutated files`, () => {
  const corpus = readCorpus()
  const outcomes = { model: 0, refused: 0 }
  for (let number = 0; number < COUNT; number++) {
    try {
      outcomes[loadFuzzed(fuzzInput(corpus, number))]++
    } catch (error) {
      throw new Error(`case ${String(number)}`, { cause: error })
    }
  }
  // Mutations that break everything, or nothing, would find nothing.
  expect(outcomes.model).toBeGreaterThan(COUNT / (existsSync(CASES) ? 20 : 50))
  expect(outcomes.refused).toBeGreaterThan(COUNT / 20)
}, 120_000)

test('a case is the same again', () => {
  const corpus = readCorpus()
  for (const number of [0, 1, 77]) {
    const [one, same] = [fuzzInput(corpus, number), fuzzInput(corpus, number)]
    expect([...one.project.files]).toEqual([...same.project.files])
  }
})
