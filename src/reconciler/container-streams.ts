/** The standard streams of a container that is about to start, and where they lie. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import {
  openContainerEnds,
  openPipeIo,
  openTtyIo,
  prepareFifos,
  type ContainerIo,
  type IoOptions,
} from '../engine/container-io.ts'
import { openTerminal } from '../engine/device-tree.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

export interface StreamsRequest {
  readonly devptsFd: number
  readonly terminalOwner: number
  readonly uid: number
  readonly gid: number
  readonly scope: FdScope
}

/** Opens both sides: the daemon's, and the container's in the order of the descriptors 0, 1, 2. */
export function openStreams(
  context: Context,
  record: ContainerRecord,
  request: StreamsRequest,
): { io: ContainerIo; stdio: [number, number, number] } {
  const options = ioOptions(context, record)
  mkdirSync(options.directory, { recursive: true, mode: 0o700 })
  if (record.config.tty) {
    const { masterFd, slaveFd } = openTerminal(
      request.devptsFd,
      request.terminalOwner,
      record.terminalSize,
    )
    request.scope.add(slaveFd)
    return { io: openTtyIo(masterFd, options), stdio: [slaveFd, slaveFd, slaveFd] }
  }
  prepareFifos(options, request)
  const io = openPipeIo(options)
  return { io, stdio: openContainerEnds(options, request.scope) }
}

/** Where a container's streams and log are. */
export function ioOptions(context: Context, record: ContainerRecord): IoOptions {
  const { stdinOpen, logging } = record.config
  return {
    directory: path.join(context.directories.containers, record.id),
    bounds: logging,
    stdinOpen,
  }
}
