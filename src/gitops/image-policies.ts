/** The image policies of a stack file from git: what is wrong with them, and where the images are written. Pure. */
import type { Finding } from '../spec/finding.ts'
import type { FilePosition, LoadedStack } from '../spec/loaded-stack.ts'
import type { ImagePolicy, Stack } from '../spec/stack.ts'
import { rangeProblem } from './tag-order.ts'

/** A service whose image follows a policy. */
export interface PolicedImage {
  readonly service: string
  readonly image: string
  readonly policy: ImagePolicy
  /** Where the reference is written; undefined: nowhere. */
  readonly position: FilePosition | undefined
}

const NO_REGISTRY = /^(?:host|dir|oci|oci-archive|docker-archive):/

/** What can't be followed. */
export function imagePolicyFindings({ services }: Stack): Finding[] {
  return Object.entries(services).flatMap(([name, { image, build, ...service }]): Finding[] => {
    const policy = service['x-tsstack']?.image_policy
    if (policy === undefined) return []
    const path = ['services', name, 'x-tsstack', 'image_policy']
    const problem = rangeProblem(policy)
    if (problem !== undefined)
      return [
        {
          path: [...path, 'semver'],
          message: `services.${name}: ${problem}`,
          expected: 'a range as npm has it',
          suggestion: 'write ^1.4 or >=1.4 <2',
        },
      ]
    if (build === undefined && image !== undefined && !NO_REGISTRY.test(image)) return []
    return [
      {
        path,
        message: `services.${name} has a policy for an image that is of no registry`,
        expected: 'image: with the name of an image in a registry, and no build:',
        suggestion: 'remove image_policy, or name such an image',
      },
    ]
  })
}

/** The images that have a policy. */
export function policedImages({ stack, locate }: LoadedStack): PolicedImage[] {
  return Object.entries(stack.services).flatMap(([service, { image, ...definition }]) => {
    const policy = definition['x-tsstack']?.image_policy
    if (policy === undefined || image === undefined) return []
    return [{ service, image, policy, position: locate(['services', service, 'image']) }]
  })
}
