/** All commands by name. A command's module is loaded when it is called, and not before. */
import type { Command } from './command.ts'

export interface CommandEntry {
  readonly summary: string
  readonly load: () => Promise<Command>
}

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  attach: {
    summary: 'Join the standard streams of a running container',
    load: async () => (await import('./commands/attach.ts')).command,
  },
  build: {
    summary: 'Build the images of services from their Dockerfiles',
    load: async () => (await import('./commands/build.ts')).command,
  },
  builder: {
    summary: 'Empty the cache of builds',
    load: async () => (await import('./commands/builder.ts')).command,
  },
  commit: {
    summary: 'Make an image of what a container has changed',
    load: async () => (await import('./commands/commit.ts')).command,
  },
  completion: {
    summary: 'Print what a shell needs to complete the command line',
    load: async () => (await import('./commands/completion.ts')).command,
  },
  config: {
    summary: 'Check the stack file and print it in canonical form',
    load: async () => (await import('./commands/config.ts')).command,
  },
  convert: {
    summary: 'The same as "config"',
    load: async () => (await import('./commands/config.ts')).command,
  },
  cp: {
    summary: 'Copy files between a container and this host',
    load: async () => (await import('./commands/cp.ts')).command,
  },
  create: {
    summary: 'Create the containers of a stack, but do not start them',
    load: async () => (await import('./commands/create.ts')).command,
  },
  daemon: {
    summary: 'Start, stop and inspect the daemon',
    load: async () => (await import('./commands/daemon.ts')).command,
  },
  diff: {
    summary: 'Show which files a container has added, changed and deleted',
    load: async () => (await import('./commands/diff.ts')).command,
  },
  doctor: {
    summary: 'Say what this host lacks, and how to mend it',
    load: async () => (await import('./commands/doctor.ts')).command,
  },
  down: {
    summary: 'Stop and remove containers and networks',
    load: async () => (await import('./commands/down.ts')).command,
  },
  events: {
    summary: 'Receive events of the containers as they happen',
    load: async () => (await import('./commands/events.ts')).command,
  },
  exec: {
    summary: 'Run a command in a running container',
    load: async () => (await import('./commands/exec.ts')).command,
  },
  export: {
    summary: "Write all files of a container's root into a tar archive",
    load: async () => (await import('./commands/export.ts')).command,
  },
  gitops: {
    summary: 'Have stacks follow git repositories',
    load: async () => (await import('./commands/gitops.ts')).command,
  },
  history: {
    summary: 'List the revisions of a stack, or show what differs between two',
    load: async () => (await import('./commands/history.ts')).command,
  },
  image: {
    summary: 'List, pull, push, name, remove, save and load images',
    load: async () => (await import('./commands/image.ts')).command,
  },
  images: {
    summary: 'List the images that the containers use',
    load: async () => (await import('./commands/images.ts')).command,
  },
  jobs: {
    summary: 'List scheduled services and their runs, or run one now',
    load: async () => (await import('./commands/jobs.ts')).command,
  },
  kill: {
    summary: 'Kill containers, or send them a signal',
    load: async () => (await import('./commands/lifecycle.ts')).kill,
  },
  login: {
    summary: 'Log in to a registry',
    load: async () => (await import('./commands/login.ts')).command,
  },
  logout: {
    summary: 'Log out from a registry',
    load: async () => (await import('./commands/login.ts')).logout,
  },
  logs: {
    summary: 'Show the output of containers',
    load: async () => (await import('./commands/logs.ts')).command,
  },
  ls: { summary: 'List the stacks', load: async () => (await import('./commands/ls.ts')).command },
  network: {
    summary: 'List, make and remove networks',
    load: async () => (await import('./commands/network.ts')).command,
  },
  pause: {
    summary: 'Freeze the processes of containers',
    load: async () => (await import('./commands/lifecycle.ts')).pause,
  },
  plan: {
    summary: 'Show what "up" would do, and why',
    load: async () => (await import('./commands/plan.ts')).command,
  },
  port: {
    summary: 'Print where a port of a service is published',
    load: async () => (await import('./commands/port.ts')).command,
  },
  ps: { summary: 'List containers', load: async () => (await import('./commands/ps.ts')).command },
  publish: {
    summary: 'Put the files of a stack into a registry',
    load: async () => (await import('./commands/publish.ts')).command,
  },
  pull: {
    summary: 'Pull images from registries',
    load: async () => (await import('./commands/pull.ts')).command,
  },
  push: {
    summary: 'Push the images of services to their registries',
    load: async () => (await import('./commands/push.ts')).command,
  },
  restart: {
    summary: 'Restart containers',
    load: async () => (await import('./commands/lifecycle.ts')).restart,
  },
  rm: {
    summary: 'Remove stopped containers',
    load: async () => (await import('./commands/rm.ts')).command,
  },
  resume: {
    summary: 'Let a stack be repaired by itself again',
    load: async () => (await import('./commands/suspend.ts')).resume,
  },
  rollback: {
    summary: 'Go back to an earlier revision of a stack',
    load: async () => (await import('./commands/rollback.ts')).command,
  },
  run: {
    summary: 'Run a one-off command in a new container of a service',
    load: async () => (await import('./commands/run.ts')).command,
  },
  scale: {
    summary: 'Change the number of replicas of services',
    load: async () => (await import('./commands/scale.ts')).command,
  },
  start: {
    summary: 'Start stopped containers',
    load: async () => (await import('./commands/lifecycle.ts')).start,
  },
  stats: {
    summary: 'Show what containers use of CPU, memory, network and disk',
    load: async () => (await import('./commands/stats.ts')).command,
  },
  status: {
    summary: 'Show how a stack and its services are, and what was done to them by hand',
    load: async () => (await import('./commands/status.ts')).command,
  },
  stop: {
    summary: 'Stop containers without removing them',
    load: async () => (await import('./commands/lifecycle.ts')).stop,
  },
  suspend: {
    summary: 'Stop repairing a stack by itself, until it is resumed',
    load: async () => (await import('./commands/suspend.ts')).suspend,
  },
  system: {
    summary: 'Show what takes room on the disk, and make room',
    load: async () => (await import('./commands/system.ts')).command,
  },
  top: {
    summary: 'List the processes in containers',
    load: async () => (await import('./commands/top.ts')).command,
  },
  unpause: {
    summary: 'Let frozen containers go on',
    load: async () => (await import('./commands/lifecycle.ts')).unpause,
  },
  up: {
    summary: 'Create and start the containers of a stack',
    load: async () => (await import('./commands/up.ts')).command,
  },
  version: {
    summary: 'Show the version',
    load: async () => (await import('./commands/version.ts')).command,
  },
  volumes: {
    summary: 'List the volumes of a stack',
    load: async () => (await import('./commands/volumes.ts')).command,
  },
  wait: {
    summary: 'Wait until a container of these services has ended',
    load: async () => (await import('./commands/wait.ts')).command,
  },
  watch: {
    summary: 'Follow the files of a project into its running containers',
    load: async () => (await import('./commands/watch.ts')).command,
  },
  volume: {
    summary: 'List, make, remove, back up and restore volumes',
    load: async () => (await import('./commands/volume.ts')).command,
  },
}
