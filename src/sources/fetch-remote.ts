/** Remote stack files: git repositories and OCI artifacts, brought into the user's cache. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { toTsstackError, TsstackError } from '../errors.ts'
import type { RemoteCopy } from '../spec/fetched.ts'
import { STACK_FILES } from '../spec/project-environment.ts'
import type { Environment } from './run-git.ts'

const YAML = /\.ya?ml$/

/** The local copy of a remote stack file, or why there is none. */
export async function fetchRemote(reference: string, env: Environment): Promise<RemoteCopy> {
  try {
    return { file: await fetchFile(reference, env) }
  } catch (error) {
    const { message, hint } = toTsstackError(error)
    return { problem: message, ...(hint === undefined ? {} : { suggestion: hint }) }
  }
}

async function fetchFile(reference: string, env: Environment): Promise<string> {
  if (reference.startsWith('oci://')) {
    const { fetchArtifact } = await import('./fetch-artifact.ts')
    return stackFileIn(await fetchArtifact(reference, env), '')
  }
  const { parseGitReference } = await import('./git-reference.ts')
  const { fetchGit } = await import('./fetch-git.ts')
  const parsed = parseGitReference(reference)
  return stackFileIn(await fetchGit(parsed, env), parsed.path ?? '')
}

/** The file that a path of a fetched directory means. Programs of others are not evaluated. */
function stackFileIn(root: string, path: string): string {
  const place = join(root, path)
  const stat = statSync(place, { throwIfNoEntry: false })
  if (stat?.isFile() === true && YAML.test(place)) return place
  if (stat?.isDirectory() !== true) {
    throw new TsstackError('NOT_FOUND', `it has no directory or YAML file "${path}"`, {
      hint: 'name one after #ref:',
    })
  }
  const names = STACK_FILES.filter((name) => YAML.test(name))
  const found = names
    .map((name) => join(place, name))
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true)
  if (found !== undefined) return found
  const where = path === '' ? 'its root' : `"${path}"`
  throw new TsstackError(
    'NOT_FOUND',
    `there is no stack file in ${where}: no ${names.join(', ')}`,
    {
      hint: 'name the directory, or the file, after #ref:',
    },
  )
}
