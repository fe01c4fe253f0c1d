/** A volume with Docker's fields, for `--format`. Pure. */
import type { VolumeSummary } from '../api/types.ts'
import { humanSize } from './human.ts'

type VolumeRow = Readonly<
  Record<'Name' | 'Stack' | 'Size' | 'Driver' | 'Mountpoint' | 'CreatedAt' | 'Labels', string>
> & {
  readonly Label: (key: string) => string
}

export const VOLUME_TITLES = { Name: 'VOLUME NAME', CreatedAt: 'CREATED' }

export function toVolumeRow(volume: VolumeSummary): VolumeRow {
  const { name, stack, driver, mountpoint, createdAt, labels, sizeBytes } = volume
  return {
    Name: name,
    Stack: stack ?? '',
    Size: sizeBytes === undefined ? 'N/A' : humanSize(sizeBytes),
    Driver: driver,
    Mountpoint: mountpoint,
    CreatedAt: createdAt,
    Label: (key) => labels[key] ?? '',
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
  }
}
