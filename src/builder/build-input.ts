/** What the builder is given, and what it needs of the engine around it. */
import type { LayerDraft, ImageBuilds } from '../engine/images/image-builds.ts'
import type { CachedStep } from '../engine/images/build-cache.ts'
import type { Digest, HistoryStep, Image } from '../engine/images/image.ts'
import type { Mount } from '../kernel/mount.ts'

/** Where `--from=NAME` or the context lies. */
export type ContextSource =
  /** A directory of this host. */
  | { readonly kind: 'directory'; readonly path: string }
  /** A reference of an image. */
  | { readonly kind: 'image'; readonly reference: string }

export interface BuildInput {
  readonly dockerfile: {
    readonly text: string
    /** What it is called in messages. */
    readonly file: string
    /** Lines of its own `.dockerignore`, or the context's. */
    readonly ignore: readonly string[]
  }
  /** Absolute path of the context; absent: there is none. */
  readonly context?: string
  readonly additionalContexts: Readonly<Record<string, ContextSource>>
  /** What the image is called, from its first moment. */
  readonly names?: readonly string[]
  readonly target?: string
  readonly args: Readonly<Record<string, string>>
  /** Names of those that are not for all builds of the request: one that nothing takes is a mistake. */
  readonly ownArguments: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly platform?: string
  readonly noCache: boolean
  /** The image tells other hosts of its steps (shared-steps.ts). */
  readonly inlineCache: boolean
  /** Stages that are not taken from the cache. */
  readonly noCacheFilter: readonly string[]
  readonly run: RunOptions
  /** By id. */
  readonly secrets: Readonly<Record<string, Uint8Array>>
  /** By id: the socket of an agent on this host. */
  readonly ssh: Readonly<Record<string, string>>
}

/** For all RUN steps of a build. */
export interface RunOptions {
  /** `default`, `host`, `none`, or the name of a network. */
  readonly network: string
  readonly privileged: boolean
  /** What RUN may ask for: `network.host`, `security.insecure`. */
  readonly entitlements: readonly string[]
  readonly extraHosts: readonly string[]
  readonly shmBytes?: number
  readonly ulimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>
}

/** A mount of one RUN, its source looked up. */
export type StepMount = { readonly target: string } & (
  | {
      readonly kind: 'directory'
      /** On this host, or of a descriptor: /proc/self/fd/N. */
      readonly source: string
      readonly readOnly: boolean
      /** Who on the disk is the container's root; absent: ids are the container's. */
      readonly isUsers: boolean
    }
  | {
      /** Of another stage or image; what is written goes with the draft. */
      readonly kind: 'layers'
      readonly tree: Mount
      readonly readOnly: boolean
      /** Absolute, in the draft. */
      readonly source: string
    }
  | { readonly kind: 'tmpfs'; readonly sizeBytes?: number }
  | {
      readonly kind: 'secret'
      readonly content: Uint8Array
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }
  | { readonly kind: 'socket'; readonly source: string }
)

/** One RUN, resolved. */
export interface RunStep {
  readonly draft: LayerDraft
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly workingDir: string
  readonly hostname: string
  readonly user?: string
  readonly network: string
  readonly isInsecure: boolean
  readonly mounts: readonly StepMount[]
  readonly options: RunOptions
  readonly onOutput: (bytes: Buffer) => void
  readonly signal: AbortSignal
}

export interface StepEvent {
  /** Number within the build, from 0. */
  readonly id: number
  /** `[web 2/5] RUN make`. */
  readonly name: string
  readonly status: 'started' | 'output' | 'done' | 'cached' | 'failed'
  /** A line that it wrote. */
  readonly line?: string
  readonly elapsedMs?: number
}

/** What the builder needs of the engine. */
export interface BuildHost {
  readonly builds: ImageBuilds
  /** Makes an image available. */
  readonly baseImage: (reference: string) => Promise<Image>
  /** A step that this host's own cache does not know, out of the caches that the build names. */
  readonly sharedStep: (key: Digest) => Promise<CachedStep | undefined>
  readonly originOf: (image: Image) => {
    readonly history: readonly HistoryStep[]
    readonly author: string | undefined
  }
  /** The host id that is root in RUN steps: drafts are made for it. */
  readonly owner: number
  /** Runs a program in a container whose root is the draft. @returns its exit code */
  readonly run: (step: RunStep) => Promise<number>
  /**
   * Whose results of RUN and whose cache mounts these are: '' is the user of this host, who trusts himself. Whoever else
   * can have a step leave what he wants, by his own hosts, proxies, secrets or cache mounts.
   */
  readonly scope: string
  /** A directory that is kept for `--mount=type=cache`, within the scope. */
  readonly cacheDirectory: (id: string) => string
  readonly onStep: (event: StepEvent) => void
  /** Told of what the checks of the Dockerfile find. */
  readonly onFinding: (text: string) => void
  /** Variables of an image that is here already. */
  readonly environmentOf: (
    reference: string,
  ) => Promise<Readonly<Record<string, string>> | undefined>
  readonly signal: AbortSignal
}
