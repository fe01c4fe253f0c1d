/** Changes that the kernel allows on a running container: limits, ports, aliases, policies, checks, labels. */
import { serviceConfiguration } from '../planner/service-fields.ts'
import { containerConfigOf } from './container-config-of.ts'
import { emitContainerEvent } from './container-event.ts'
import type { HealthCheck } from '../engine/container-config.ts'
import { monitorHealth } from './container-health.ts'
import type { Context, LiveContainer } from './context.ts'
import { conversionInputOf } from './create-container.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import { findDeviceNodes } from '../engine/host-devices.ts'
import { limitsWith } from './resource-limits-of.ts'
import { describeWarnings } from './cgroup-warnings.ts'
import { requireContainer } from './find-container.ts'

/** @returns a warning when the host can't set a limit */
export function updateContainer(
  context: Context,
  id: string,
  resolved: ResolvedStack,
): string | undefined {
  const before = requireContainer(context, id)
  const { config, anonymousVolumes } = before
  const identity = {
    serviceName: config.service,
    number: config.number,
    name: config.name,
    id,
    oneoff: config.oneoff,
    answersAsService: !config.oneoff,
  }
  const input = conversionInputOf(context, { resolved, service: config.service }, identity)
  const wanted = containerConfigOf({ ...input, anonymousVolumes })
  const configuration = serviceConfiguration(config.service, resolved.desired)
  const live = context.live.get(id)
  // What may be refused comes first: the record of a change that was not made would hide that for ever.
  const { publishedPorts } = before
  const published =
    live === undefined ? publishedPorts : context.networks.publish({ ...before, config: wanted })
  const warnings = live?.cgroup.update(limitsWith(wanted, findDeviceNodes(wanted.devices))) ?? []
  context.containers.put(id, {
    ...before,
    config: wanted,
    fields: configuration.fields,
    replaceHash: configuration.replaceHash,
    updateHash: configuration.updateHash,
    publishedPorts: published,
  })
  if (live !== undefined) {
    live.io.log.bounds = wanted.logging
    updateHealth(context, live, wanted.health)
  }
  emitContainerEvent(context, before, 'update')
  return describeWarnings(config.name, warnings)
}

/** A check that changes goes on; one that is new begins, one that is gone ends. */
function updateHealth(context: Context, live: LiveContainer, check: HealthCheck | undefined): void {
  if (check !== undefined && live.health !== undefined) live.health.update(check)
  else {
    live.health?.close()
    const health = monitorHealth(context, live.id, { ...live, isNew: true })
    context.live.set(live.id, { ...live, health })
  }
}
