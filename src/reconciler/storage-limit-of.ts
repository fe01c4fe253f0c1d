/** `storage_opt`: how much a container may write outside of its mounts. */
import type { ContainerConfig } from '../engine/container-config.ts'
import { parseBytes } from '../spec/bytes.ts'
import type { Service } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'

/** Below, the file system itself would take most of it. */
const LEAST_BYTES = 16 << 20

/** @throws {INVALID_ARGUMENT} for another option than `size`, and a size that is none or too small */
export function storageLimitOf({
  storage_opt: options = {},
}: Service): Pick<ContainerConfig, 'storageBytes'> {
  const other = Object.keys(options).find((name) => name !== 'size')
  if (other !== undefined) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use storage option "${other}": only "size" is known`,
    )
  }
  const { size } = options
  if (size === undefined) return {}
  const storageBytes = parseBytes(size)
  if (storageBytes >= LEAST_BYTES) return { storageBytes }
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot limit the writable layer to "${size}": it must be 16 MiB at least`,
  )
}
