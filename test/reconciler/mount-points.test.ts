import { expect, test } from 'vitest'
import { mountPointsIn } from '../../src/reconciler/loop/mount-points.ts'

test("mountPointsIn() has those that are the container's alone: others go when the host takes them away", () => {
  const mountinfo = `520 527 0:138 / / rw,relatime - overlay none rw
522 520 0:141 / /dev rw,nosuid - tmpfs none rw
525 520 254:0 / /rootfs ro master:1 - ext4 /dev/vda rw
526 525 0:25 / /rootfs/run ro master:5 propagate_from:2 - tmpfs tmpfs rw
527 520 254:0 /x /x rw shared:9 master:7 - ext4 /dev/vda rw
`
  expect(mountPointsIn(mountinfo)).toEqual(['/', '/dev'])
})
