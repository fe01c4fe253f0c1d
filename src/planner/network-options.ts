/** `driver_opts` of networks that have an effect, by the names that Docker has for them. */

/** https://docs.docker.com/engine/network/drivers/bridge/#options */
export const BRIDGE_OPTION = {
  /** Bytes. */
  mtu: 'com.docker.network.driver.mtu',
  /** `false`: its containers do not reach each other. */
  containersMeet: 'com.docker.network.bridge.enable_icc',
  /** `false`: packets leave the host with the address of their container. */
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  /** IPv4 address of the host that ports are published on which name none. */
  hostBinding: 'com.docker.network.bridge.host_binding_ipv4',
} as const

/** https://docs.docker.com/engine/network/drivers/macvlan/#options */
export const MACVLAN_OPTION = {
  /** Interface of the host that it is on. */
  parent: 'parent',
  mode: 'macvlan_mode',
} as const
