import type { Attempt, AttemptSink, Job, Link } from '#hub/link.ts';
import type { Occupancy } from '#hub/link-attempt.ts';
import { Presence, type Registry } from '#hub/registry.ts';
import type { Clock } from '#kit/clock.ts';
import type { News, NodeNews } from './news.ts';
import type { PeerLink } from './peer-link.ts';

/**
 * The agents of other gateways as candidates of this one. A node that is connected here is served from here; one that is
 * connected to several others is taken at one of them. What changes is put into the registry at once.
 *
 * An agent that holds one link at a time, and turns up at another gateway, has left its older one, whatever that socket
 * says: the younger connection counts, and the older is ended by the gateway that has it.
 */
export class RemoteNodes {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #gateways = new Map<PeerLink, Map<string, RemoteNode>>();

  constructor(parts: { registry: Registry; clock: Clock }) {
    this.#registry = parts.registry;
    this.#clock = parts.clock;
  }

  hear(peer: PeerLink, news: News): void {
    const nodes = this.#nodesOf(peer);
    switch (news.type) {
      case 'node': {
        this.#node(peer, nodes, news.node);
        break;
      }
      case 'gone': {
        const node = nodes.get(news.link);
        nodes.delete(news.link);
        if (node) this.#withdraw(node);
        break;
      }
      case 'load':
        for (const [link, all, models] of news.loads) {
          const node = nodes.get(link);
          if (!node) continue;
          node.load = { link: all, models: new Map(Object.entries(models)) };
          if (node.entered) this.#registry.elsewhere(node.presence, node.load);
        }
        break;
      case 'leaving':
        for (const node of nodes.values()) {
          node.leaving = true;
          this.#registry.drain(node.presence, true);
        }
        break;
    }
    this.place();
  }

  /** The link to a gateway is gone, and with it what we know of its agents. */
  forget(peer: PeerLink): void {
    for (const node of this.#gateways.get(peer)?.values() ?? []) {
      // It was not they who came and went.
      node.presence.draining = true;
      this.#withdraw(node);
    }
    this.#gateways.delete(peer);
    this.place();
  }

  /** Decides for each node where it is served from. Called whenever somebody came or went, here or there. */
  place(): void {
    const taken = new Set<string>();
    const wanted: RemoteNode[] = [];
    const gateways = [...this.#gateways].toSorted(([a], [b]) => (a.gateway < b.gateway ? -1 : 1));
    for (const [, nodes] of gateways)
      for (const node of nodes.values()) {
        const id = node.presence.nodeId;
        const here = this.#registry.presenceOf(id) !== undefined;
        if (here || taken.has(id)) this.#withdraw(node);
        else {
          taken.add(id);
          if (!node.entered) wanted.push(node);
        }
      }
    for (const node of wanted) this.#enter(node);
  }

  #node(peer: PeerLink, nodes: Map<string, RemoteNode>, said: NodeNews): void {
    const connectedAtMs = this.#clock.nowMs() - said.connected_ms_ago;
    const here = this.#registry.presenceOf(said.node);
    if (here?.mode === 'websocket' && !(here.several && said.several) && here.connectedAtMs < connectedAtMs)
      here.evict('replaced');
    let node = nodes.get(said.link);
    if (!node) {
      const presence = new Presence({
        linkId: `${peer.gateway}/${said.link}`,
        nodeId: said.node,
        providerId: said.provider,
        mode: 'websocket',
        keyId: null,
        gateway: peer.gateway,
        several: said.several,
        connectedAtMs,
        evict: () => undefined,
        // Its own gateway keeps it warm.
        warmUp: () => Promise.resolve('unanswered'),
        providerChanged: () => undefined,
      });
      const link = new RemoteLink(presence.linkId, {
        peer,
        at: said.link,
        occupancy: occupancyOf(this.#registry, presence),
      });
      node = {
        presence,
        link,
        said,
        entered: false,
        leaving: false,
        load: { link: 0, models: new Map<string, number>() },
      };
      nodes.set(said.link, node);
    }
    node.said = said;
    if (node.entered) this.#update(node);
  }

  #enter(node: RemoteNode): void {
    node.entered = true;
    this.#registry.enter(node.presence, node.link);
    this.#update(node);
    this.#registry.elsewhere(node.presence, node.load);
  }

  #update({ presence, said, leaving }: RemoteNode): void {
    this.#registry.serve(
      presence,
      said.models.map((model) => ({
        modelId: model.id,
        name: model.name,
        capacity: model.capacity,
        operations: model.operations,
        quantization: model.quantization,
        parameters: model.parameters && new Set(model.parameters),
        version: model.version,
      })),
      { vramGb: said.vram_gb, linkCapacity: said.capacity, requestBytesMax: said.request_bytes_max },
    );
    this.#registry.health(
      presence,
      Object.fromEntries(said.models.map(({ name, health }) => [name, health])),
    );
    this.#registry.ready(presence, new Set(said.models.filter(({ ready }) => ready).map(({ name }) => name)));
    this.#registry.drain(presence, said.draining || leaving);
    presence.heardAtMs = this.#clock.nowMs();
  }

  #withdraw(node: RemoteNode): void {
    if (!node.entered) return;
    node.entered = false;
    this.#registry.leave(node.presence);
  }

  #nodesOf(peer: PeerLink): Map<string, RemoteNode> {
    let nodes = this.#gateways.get(peer);
    if (!nodes) {
      nodes = new Map();
      this.#gateways.set(peer, nodes);
    }
    return nodes;
  }
}

interface RemoteNode {
  readonly presence: Presence;
  readonly link: Link;
  said: NodeNews;
  /** It is in the registry. */
  entered: boolean;
  leaving: boolean;
  load: { readonly link: number; readonly models: ReadonlyMap<string, number> };
}

/** An agent of another gateway, as dispatch sees it. */
class RemoteLink implements Link {
  readonly id: string;
  readonly mode = 'websocket';
  readonly #about: { readonly peer: PeerLink; readonly at: string; readonly occupancy: Occupancy };

  constructor(
    id: string,
    about: { readonly peer: PeerLink; readonly at: string; readonly occupancy: Occupancy },
  ) {
    this.id = id;
    this.#about = about;
  }

  start(job: Job, sink: AttemptSink): Attempt {
    return this.#about.peer.start(this.#about.at, job, sink, this.#about.occupancy);
  }
}

function occupancyOf(registry: Registry, presence: Presence): Occupancy {
  return {
    began: (modelId) => registry.began(presence, modelId),
    ended: (modelId) => registry.ended(presence, modelId),
    buffered: (delta) => registry.buffered(presence, delta),
    missing: (modelId) => registry.missing(presence, modelId),
  };
}
