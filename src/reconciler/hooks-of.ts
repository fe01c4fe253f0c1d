/** `post_start`, `pre_stop` and `pre_start` of a service as hooks of a container. */
import type { ContainerConfig, Hook } from '../engine/container-config.ts'
import { imageNameOf } from '../planner/image-name.ts'
import type { PreStartHook } from '../spec/stack.ts'
import type { ConversionInput } from './conversion-input.ts'

export function hooksOf(input: ConversionInput): ContainerConfig['hooks'] {
  const { service } = input
  return {
    preStart: (service.pre_start ?? []).map((hook) => preStartOf(hook, input)),
    postStart: (service.post_start ?? []).map(hookOf),
    preStop: (service.pre_stop ?? []).map(hookOf),
  }
}

/** It runs beside the container, with the environment of the service whatever its image is (docker/compose: pre_start.go). */
function preStartOf(hook: PreStartHook, { stack, service, identity }: ConversionInput): Hook {
  const { image: own, environment, ...rest } = hookOf(hook)
  // The loader fills in the service's.
  const image = own === imageNameOf(stack, identity.serviceName) ? undefined : own
  return {
    ...rest,
    environment: { ...setVariables(service.environment), ...environment },
    ...(image === undefined ? {} : { image }),
  }
}

function hookOf(hook: PreStartHook): Hook {
  const { command = [], user, privileged, working_dir, image, per_replica } = hook
  return {
    command,
    environment: setVariables(hook.environment),
    ...(user === undefined ? {} : { user }),
    ...(privileged === undefined ? {} : { privileged }),
    ...(working_dir === undefined ? {} : { workingDir: working_dir }),
    ...(image === undefined ? {} : { image }),
    perReplica: per_replica ?? false,
  }
}

function setVariables(variables: PreStartHook['environment'] = {}): Record<string, string> {
  const set = Object.entries(variables).flatMap(([name, value]) =>
    value === null ? [] : [[name, value] as const],
  )
  return Object.fromEntries(set)
}
