/**
 * The daemon: the one place where things are built and put together.
 *
 *   <state dir>  state.db  images/  snapshots/  volumes/  containers/  daemon.log     survives a reboot
 *   <run dir>    tsstack.sock  daemon.lock                                            does not have to
 */
import { chmodSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { openCgroupDriver } from '../engine/cgroup/open-cgroup-driver.ts'
import { openImageStore } from '../engine/images/image-store.ts'
import { openLayerDirectory, takesDetachedLayers } from '../engine/layer-mounts.ts'
import { readRegistrySettings } from '../registry/registry-settings.ts'
import { openSnapshotter } from '../engine/images/open-snapshotter.ts'
import { lockFile } from '../kernel/file-lock.ts'
import { routineAddress } from '../kernel/syscall-list.ts'
import { forbidDumping } from '../kernel/process.ts'
import { openGitops } from '../gitops/open-gitops.ts'
import { openWebhooks } from '../gitops/webhook-server.ts'
import { adoptContainers } from '../reconciler/adopt.ts'
import type { Context } from '../reconciler/context.ts'
import { openEstates } from '../reconciler/estates.ts'
import { openEventLog } from '../reconciler/event-log.ts'
import { imagesToKeep } from '../reconciler/images-in-use.ts'
import { openJobScheduler } from '../reconciler/jobs/scheduler.ts'
import { openKeptDescriptors } from '../reconciler/kept-descriptors.ts'
import type { InterventionRecord } from '../reconciler/loop/interventions.ts'
import { createLoop } from '../reconciler/loop/loop.ts'
import { createLocks } from '../reconciler/locks.ts'
import type { StackRecord, ContainerRecord, VolumeRecord } from '../reconciler/records.ts'
import { openRevisionStore } from '../reconciler/revisions/revision-store.ts'
import { restartUnhealthyContainers } from '../reconciler/restart-unhealthy.ts'
import { securityProfile } from '../reconciler/security-profile.ts'
import type { Telemetry } from '../reconciler/telemetry.ts'
import { isReady } from '../reconciler/observe.ts'
import { openStackNetworks } from '../reconciler/stack-networks.ts'
import { createSyncJournal } from '../reconciler/sync-journal.ts'
import { createVolumeMounts } from '../reconciler/volume-mounts.ts'
import { openStateStore } from '../state/state-store.ts'
import { openVolumeStore } from '../volumes/volume-store.ts'
import { toTsstackError } from '../errors.ts'
import { log, setLogLevel } from '../log.ts'
import { openDaemonLog } from './daemon-log.ts'
import { listenForMetrics, metricsRoutes } from './routes/metrics.ts'
import { createReconcileMetrics } from './telemetry/reconcile-metrics.ts'
import { createTelemetry, openTracer } from './telemetry/telemetry.ts'
import { openListener } from './listener.ts'
import { claimNetwork } from './network-claim.ts'
import { TRIAL } from './renewal.ts'
import { countRequests } from './requests-in-flight.ts'
import { notifyServiceManager } from './service-manager.ts'
import { readSettings, type Settings } from './settings.ts'
import { gitopsRoutes } from './routes/gitops.ts'
import { jobRoutes } from './routes/jobs.ts'
import { withSettingsFile } from './settings-file.ts'
import { createServer } from './server.ts'
import { obeySignals } from './signals.ts'

/** Not while the first clients wait. */
const PRUNE_DELAY_MS = 30_000

if (process.argv.includes(TRIAL)) process.exit(0)
forbidDumping() // before anything else: see kernel/process.ts
process.umask(0o077)

const environment = withSettingsFile(process.env)
try {
  await serve(readSettings(environment))
} catch (error) {
  const { message, hint } = toTsstackError(error)
  log.error('daemon does not start', { message, hint })
  process.exit(1)
}

async function serve(settings: Settings): Promise<void> {
  const { stateDir, runDir, socket } = settings
  setLogLevel(settings.logLevel)
  mkdirSync(runDir, { recursive: true, mode: 0o755 })
  mkdirSync(stateDir, { recursive: true, mode: 0o711 })
  const daemonLog =
    settings.logFile === undefined
      ? undefined
      : openDaemonLog(settings.logFile, settings.logMaxBytes)
  if (
    !lockFile(path.join(runDir, 'daemon.lock')) ||
    !lockFile(path.join(stateDir, 'daemon.lock'))
  ) {
    log.info('another daemon is running')
    return
  }
  const network = await claimNetwork()
  const listener = openListener(socket, process.env)
  const reconcile = createReconcileMetrics()
  const context = buildContext(settings, createTelemetry(reconcile, openTracer(environment)))
  context.events.subscribe((event) => {
    reconcile.event(event)
  })
  restartUnhealthyContainers(context)
  context.events.emit({ type: 'daemon', action: 'start', stack: '', id: 'tsstack', attributes: {} })
  await adoptContainers(context)
  const leaving = new AbortController()
  const app = createServer(context, { stateDir, leaving: leaving.signal })
  const jobs = openJobScheduler(context)
  jobRoutes(app, jobs)
  const gitops = openGitops(context, path.join(stateDir, 'gitops'))
  gitopsRoutes(app, gitops)
  const metrics = { context, reconcile, gitops, jobs }
  metricsRoutes(app, metrics)
  await app.ready()
  const requests = countRequests(app.server)
  listener.allow(settings.socketGroup)
  await listener.serve(app.server)
  if (settings.metricsAddress !== undefined)
    await listenForMetrics(metrics, settings.metricsAddress)
  if (settings.webhookListen !== undefined) openWebhooks(settings.webhookListen, gitops)
  context.loop.start()
  setImmediate(prepareFirstStart)
  setTimeout(() => {
    pruneImages(context)
  }, PRUNE_DELAY_MS).unref()
  log.info('daemon is ready', { socket, pid: process.pid })
  notifyServiceManager('ready', 'Ready')
  obeySignals({ context, network, listener, requests, leaving, daemonLog })
}

function buildContext(
  { stateDir, runDir, storageDriver, cgroupParent, reconcileIntervalMs }: Settings,
  telemetry: Telemetry,
): Context {
  const directory = (name: string): string => closedDirectory(path.join(stateDir, name))
  const state = openStateStore(path.join(stateDir, 'state.db'))
  const images = openImageStore(directory('images'), {
    registries: readRegistrySettings(process.env),
    storageDriver,
  })
  const containers = state.collection<ContainerRecord>('container', { ofFacts: true })
  const events = openEventLog(state)
  const kept = openKeptDescriptors(state)
  const live: Context['live'] = new Map()
  const networks = openStackNetworks({
    state,
    containers,
    events,
    kept,
    isReady(id) {
      const record = containers.get(id)
      return record === undefined || isReady({ live }, record)
    },
  })
  const layers = takesDetachedLayers() ? undefined : openLayerDirectory(path.join(runDir, 'layers'))
  const context: Context = {
    directories: {
      containers: directory('containers'),
      ...(layers === undefined ? {} : { layers }),
    },
    state,
    containers,
    stacks: state.collection<StackRecord>('stack'),
    volumeRecords: state.collection<VolumeRecord>('volume'),
    revisions: openRevisionStore(state),
    estates: openEstates(state),
    interventions: state.collection<InterventionRecord>('intervention'),
    loop: createLoop(() => context, { intervalMs: reconcileIntervalMs }),
    images,
    snapshotter: openSnapshotter(storageDriver, directory('snapshots'), images),
    volumes: openVolumeStore(directory('volumes')),
    volumeMounts: createVolumeMounts(kept, layers),
    cgroups: openCgroupDriver(cgroupParent),
    networks,
    events,
    telemetry,
    kept,
    locks: createLocks(),
    live,
    outputListeners: new Map(),
    userNamespaces: new Map(),
    syncJournal: createSyncJournal(),
    restartTimers: new Map(),
    followed: new Map(),
  }
  return context
}

/** Files in there have the ids that images and containers gave them: a setuid program of root's is nobody else's to run. */
function closedDirectory(directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  chmodSync(directory, 0o700)
  return directory
}

/** What the first start would wait for: the compiled system call filter and the machine code. */
function prepareFirstStart(): void {
  securityProfile({
    capAdd: [],
    capDrop: [],
    privileged: false,
    noNewPrivileges: false,
    seccomp: 'default',
  })
  routineAddress()
}

/**
 * Images that were replaced (built again, or programs of the host changed) and that no container uses any more. What was
 * made without a name on purpose, by `commit` or `import`, stays.
 */
function pruneImages(context: Context): void {
  const options = { inUse: () => imagesToKeep(context), replacedOnly: true }
  context.images.prune(options).catch((error: unknown) => {
    log.warn('images could not be pruned', { error })
  })
}
