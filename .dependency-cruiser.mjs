// Who may import whom (ARCHITECTURE.md draws it). Run through scripts/check-imports.ts, which also checks that modules
// were really looked at.

/** `from` may import nothing of `src` but itself, the ground floor, and these rooms. */
const GROUND = '^src/(errors|log|timer-limit|version)[.]ts$'

function room(name, allowed, comment) {
  const rooms = [name, ...allowed].join('|')
  return {
    name: `${name}-imports`,
    comment,
    severity: 'error',
    from: { path: `^src/${name}/` },
    to: { path: '^src/', pathNot: [`^src/(${rooms})/`, GROUND] },
  }
}

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'spec-and-planner-do-no-io',
      comment: 'text in, values out: what they need of the world is given to them',
      severity: 'error',
      from: { path: '^src/(spec|planner)/' },
      to: {
        path: '^(node:)?(fs|child_process|net|http|https|dgram|os|process|worker_threads)(/|$)',
      },
    },
    {
      name: 'koffi-only-in-kernel',
      comment: 'one room makes system calls',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/kernel/' },
      to: { path: 'koffi' },
    },
    {
      name: 'errors-and-log-stand-alone',
      severity: 'error',
      from: { path: GROUND },
      to: { path: '^src/', pathNot: GROUND },
    },
    room('kernel', [], 'the bottom'),
    room('spec', [], 'pure'),
    room('planner', ['spec'], 'pure'),
    room(
      'api',
      ['spec', 'planner', 'registry'],
      'the wire: values of the pure rooms, and no code of others',
    ),
    room('registry', [], 'speaks with registries; knows no store and no daemon'),
    room(
      'engine',
      ['kernel', 'registry'],
      'engine, network and volumes meet in values, never in each other',
    ),
    room(
      'builder',
      ['sources', 'spec', 'engine', 'registry', 'kernel'],
      'Dockerfiles to images; who runs their steps is given to it',
    ),
    room('network', ['kernel'], 'see engine'),
    room('volumes', ['kernel'], 'see engine'),
    room('state', ['api', 'spec', 'planner', 'kernel'], 'what is remembered'),
    room(
      'reconciler',
      [
        'planner',
        'spec',
        'api',
        'state',
        'engine',
        'builder',
        'network',
        'volumes',
        'kernel',
        'registry',
      ],
      'runs plans; of api it knows the events that it makes',
    ),
    room(
      'gitops',
      [
        'sources',
        'reconciler',
        'state',
        'api',
        'planner',
        'spec',
        'registry',
        'network',
        'engine',
        'kernel',
      ],
      'follows git repositories: only changes what is desired',
    ),
    room(
      'daemon',
      [
        'api',
        'gitops',
        'reconciler',
        'state',
        'planner',
        'spec',
        'engine',
        'network',
        'volumes',
        'kernel',
        'registry',
      ],
      'the composition root',
    ),
    room('client', ['api', 'planner', 'spec'], 'the other end of the socket'),
    room('sources', ['spec', 'registry'], 'brings in what the pure loader lacks, for its user'),
    room(
      'watch',
      ['client', 'api', 'spec'],
      'follows the files of a project; the daemon puts them into containers',
    ),
    room(
      'library',
      ['client', 'api', 'planner', 'spec', 'sources', 'registry'],
      'what src/index.ts gives to programs',
    ),
    {
      name: 'nobody-behind-the-door',
      comment: 'src/index.ts is for others; rooms import files',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/index[.]ts$' },
    },
    room(
      'cli',
      ['client', 'api', 'spec', 'planner', 'sources', 'registry', 'watch'],
      'reaches the engine through the socket alone',
    ),
    {
      name: 'not-to-tests',
      severity: 'error',
      from: { path: '^src' },
      to: { path: '^(test|scripts|bench)' },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'not-to-dev-dep',
      severity: 'error',
      from: { path: '^src' },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
}
