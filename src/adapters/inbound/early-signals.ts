// Runs in: primary, worker. Imported before all else, for what it does.

/**
 * Signals that are acted on later, or never: left to itself, a process ends or stops by them, and by SIGUSR1 Node opens a
 * port for debuggers, through which whoever reaches it runs code as us.
 */
for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGHUP', 'SIGTTIN', 'SIGTTOU'] as const) process.on(signal, () => {});
