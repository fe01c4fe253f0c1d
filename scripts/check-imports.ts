/**
 * Holds the imports against the rules of .dependency-cruiser.mjs, and fails when no modules were looked at: with a
 * compiler that it does not know, dependency-cruiser finds none, and says so with a green tick.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cruise } from 'dependency-cruiser'
import extractConfig from 'dependency-cruiser/config-utl/extract-depcruise-config'
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config'

const ROOT = join(import.meta.dirname, '..')
process.chdir(ROOT)

const config = await extractConfig('./.dependency-cruiser.mjs')
const { options = {}, ...ruleSet } = config
const result = await cruise(['src'], { ...options, validate: true, ruleSet }, undefined, {
  tsConfig: extractTsConfig('./tsconfig.json'),
})
if (typeof result.output === 'string')
  throw new Error('dependency-cruiser gave text instead of a result')

const { modules, summary } = result.output
const own = modules.filter((module) => module.source.startsWith('src/'))
const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)
for (const { from, to, rule, cycle } of summary.violations) {
  const path = cycle === undefined ? to : cycle.map((step) => step.name).join(' -> ')
  process.stderr.write(`${rule.severity} ${rule.name}: ${from} -> ${path}\n`)
}
if (own.length < files.length || own.length === 0) {
  process.stderr.write(
    `error: looked at ${String(own.length)} modules, src has ${String(files.length)}\n`,
  )
  process.exitCode = 1
} else if (summary.error > 0) {
  process.exitCode = 1
} else {
  process.stdout.write(
    `imports: ${String(own.length)} modules, ${String(summary.totalDependenciesCruised ?? 0)} imports, no breach\n`,
  )
}
