// How pm2 runs edgeProxy:
//
//     pm2 start ecosystem.config.cjs        returns once the proxy serves
//     pm2 sendSignal SIGUSR2 edgeproxy      rolls the workers; no client is refused, and what is open drains
//     pm2 stop edgeproxy                    drains, then stops
//     pm2 logs edgeproxy
//
// pm2 takes the environment of the shell that calls it, `EDGEPROXY_REGION=eu pm2 start ecosystem.config.cjs`, and keeps it
// for its own restarts. After a change, `pm2 restart ecosystem.config.cjs` takes the new one; `pm2 restart edgeproxy` does
// not. Both, and pm2's `reload`, drain and then start again, and the port is closed meanwhile: what a roll can do, roll.
const { existsSync } = require('node:fs');
const { join } = require('node:path');

/** What is set here wins over the caller's environment. */
const env = {
  // EDGEPROXY_LISTEN_ADDR: '0.0.0.0:8080',
  // EDGEPROXY_REGION: 'eu',
  // EDGEPROXY_DB_PATH: '/var/lib/edgeproxy/routing.db',
};

// Absolute, by way of this checkout: pm2 is often started by an older system Node, and runs a `.ts` with bun if there is
// one. Without the pinned binary (musl, `npm install --omit=optional`) it is the Node that runs pm2.
const pinned = join(__dirname, 'node_modules', '.bin', 'node');

/** The defaults are the primary's own, too; it refuses to start with what is no number, so that needs no word here. */
const secs = (name, byDefault) => {
  const text = { ...process.env, ...env }[name] ?? '';
  return /^\d+$/.test(text) ? Number(text) : byDefault;
};
const stopSecs = secs('EDGEPROXY_LAME_DUCK_SECS', 0) + secs('EDGEPROXY_SHUTDOWN_TIMEOUT_SECS', 30);
/** Past the drain deadline the primary resets what is left, and gives workers that hang two seconds before it ends them. */
const MARGIN_SECS = 10;

module.exports = {
  apps: [
    {
      name: 'edgeproxy',
      // Relative to `cwd`: pm2 hands a script with a blank in its path to a shell, which takes it for several words.
      script: 'src/main.ts',
      // Relative paths, such as the default `routing.db`, mean the same whatever directory pm2 was called from.
      cwd: __dirname,
      interpreter: existsSync(pinned) ? pinned : process.execPath,
      // Or SIGUSR1 opens a debugger's port until the primary's own code runs.
      node_args: ['--disable-sigusr1'],

      // One primary, which forks and supervises its workers itself (EDGEPROXY_WORKERS). In pm2's cluster mode it would be
      // a cluster worker, and those cannot fork.
      exec_mode: 'fork',
      instances: 1,

      // `online` is what serves: the primary reports `ready` when its workers accept. After listen_timeout (ms) pm2 calls
      // it online all the same, so that is far beyond any start.
      wait_ready: true,
      listen_timeout: 60_000,

      // In ms; pm2's default of 1.6 s would cut every connection that is open.
      kill_timeout: (stopSecs + MARGIN_SECS) * 1000,
      // The stop is for the primary, which drains its workers one and all; pm2 would signal them behind its back.
      treekill: false,

      // In ms, growing by half up to 15 s: a primary that cannot start (a port in use) is tried again for good, where pm2
      // would give up after 16 quick failures.
      exp_backoff_restart_delay: 100,
      // Wrong configuration does not mend itself: the message stays the last thing in the error log. (pm2 lists such a
      // process as `waiting restart`, with pid 0; it waits for `pm2 restart ecosystem.config.cjs`.)
      stop_exit_codes: [2],

      // pm2's agent would be loaded into the primary and talk on the IPC channel that is ours.
      pmx: false,
      // One pair of files, named for the app without pm2's number, which changes with `pm2 delete`.
      merge_logs: true,
      // And no max_memory_restart: pm2 sees the primary's memory only, and its remedy cuts every connection.
      env,
    },
  ],
};
