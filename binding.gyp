{
  'targets': [
    {
      'target_name': 'edgeproxy_epoll',
      'sources': [
        'src/adapters/dataplane/epoll/native/addon.c',
        'src/adapters/dataplane/epoll/native/batch.c',
        'src/adapters/dataplane/epoll/native/buffers.c',
        'src/adapters/dataplane/epoll/native/connection.c',
        'src/adapters/dataplane/epoll/native/deliver.c',
        'src/adapters/dataplane/epoll/native/dial.c',
        'src/adapters/dataplane/epoll/native/head.c',
        'src/adapters/dataplane/epoll/native/listener.c',
        'src/adapters/dataplane/epoll/native/loop.c',
        'src/adapters/dataplane/epoll/native/relay.c',
        'src/adapters/dataplane/epoll/native/sockets.c',
        'src/adapters/dataplane/epoll/native/table.c',
        'src/adapters/dataplane/epoll/native/timers.c',
      ],
      'defines': ['NAPI_VERSION=8', '_GNU_SOURCE'],
      'cflags': ['-std=gnu11', '-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Wno-sign-conversion', '-fvisibility=hidden'],
      'cflags!': ['-Wno-unused-parameter'],
      # The Debug configuration is the one for `npm run test:native-sanitize`.
      'configurations': {
        'Debug': {
          'cflags': ['-Werror', '-O1', '-fno-omit-frame-pointer', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
          'cflags!': ['-O0'],
          'ldflags': ['-fsanitize=address,undefined'],
        },
      },
    },
  ],
}
