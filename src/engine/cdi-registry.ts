/**
 * Devices that a vendor describes in files on the host: Container Device Interface 0.8 (github.com/cncf-tags/
 * container-device-interface, SPEC.md). A device is asked for by name, `vendor.com/class=name`, and says which nodes,
 * mounts and variables a container needs for it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod/mini'
import { TsstackError } from '../errors.ts'

/** The latter is for what is made at boot, and wins. */
const DIRECTORIES = ['/etc/cdi', '/var/run/cdi']
const NAME = /^([a-zA-Z][\w.-]*\/[a-zA-Z][\w.-]*)=([\w.:-]+)$/

const edits = z.object({
  env: z.optional(z.array(z.string())),
  deviceNodes: z.optional(
    z.array(
      z.object({
        path: z.string(),
        hostPath: z.optional(z.string()),
        permissions: z.optional(z.string()),
      }),
    ),
  ),
  mounts: z.optional(
    z.array(
      z.object({
        hostPath: z.string(),
        containerPath: z.string(),
        options: z.optional(z.array(z.string())),
      }),
    ),
  ),
  hooks: z.optional(z.array(z.object({ hookName: z.string(), path: z.string() }))),
  additionalGids: z.optional(z.array(z.number())),
})

const specification = z.object({
  cdiVersion: z.string(),
  kind: z.string(),
  devices: z.array(z.object({ name: z.string(), containerEdits: edits })),
  containerEdits: z.optional(edits),
})

/** What a container gets for a device. */
export type CdiEdits = z.infer<typeof edits>
type Specification = z.infer<typeof specification>

export function isCdiName(text: string): boolean {
  return NAME.test(text)
}

export interface CdiRegistry {
  /** Kinds that are described, such as `nvidia.com/gpu`. */
  readonly kinds: readonly string[]
  /**
   * Of the device, and those that every device of its kind needs.
   * @throws {NOT_FOUND} naming the devices that there are
   */
  editsOf(name: string): readonly CdiEdits[]
}

/**
 * Reads the host's files, anew each time: drivers write them whenever they are loaded.
 * @throws {FAILED_PRECONDITION} naming a file that is no specification
 */
export function readCdiRegistry(directories: readonly string[] = DIRECTORIES): CdiRegistry {
  const kinds = new Map<string, Specification>()
  for (const file of directories.flatMap(filesIn)) {
    const found = readSpecification(file)
    const earlier = kinds.get(found.kind)
    // A device in a later file takes the place of one with its name.
    const devices = [...found.devices, ...(earlier?.devices ?? [])]
    kinds.set(found.kind, { ...found, devices })
  }
  return {
    kinds: [...kinds.keys()].sort(),
    editsOf(name) {
      const [, kind = '', device = ''] = NAME.exec(name) ?? []
      const described = kinds.get(kind)
      const found = described?.devices.find((candidate) => candidate.name === device)
      if (described === undefined || found === undefined) throw unknownDevice(name, described)
      const { containerEdits: common } = described
      return [...(common === undefined ? [] : [common]), found.containerEdits]
    },
  }
}

function unknownDevice(name: string, described: Specification | undefined): TsstackError {
  const names = described?.devices.map((device) => `${described.kind}=${device.name}`) ?? []
  return new TsstackError(
    'NOT_FOUND',
    `Cannot pass device "${name}": no file in ${DIRECTORIES.join(' or ')} describes it`,
    {
      hint:
        names.length === 0
          ? 'Let the tool of its vendor write one, such as "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"'
          : `There are ${names.join(', ')}`,
    },
  )
}

function filesIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => /\.(json|ya?ml)$/.test(name))
    return names.sort().map((name) => path.join(directory, name))
  } catch {
    return [] // most hosts have none
  }
}

function readSpecification(file: string): Specification {
  try {
    return specification.parse(parse(readFileSync(file, 'utf8'))) // JSON is YAML
  } catch (error) {
    throw new TsstackError('FAILED_PRECONDITION', `Cannot use the devices of "${file}"`, {
      cause: error,
      hint: 'Write it anew with the tool of its vendor, or remove it',
    })
  }
}
