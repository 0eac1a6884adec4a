// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_hostile.h"

#include <limits>
#include <memory>
#include <string>

namespace baton {

SimHostile::SimHostile(SimCluster& cluster, std::uint32_t messages, Duration over) : random_(cluster.world().heap().random().next()) {
  cluster.add_client(
      "client/hostile", [](const JobClient::Inbox&, Outbox&) {},
      [this, messages, over](JobClient& client, Outbox& out, SimNodeContext& context) {
        client.ask(StatusRequest{1}, out);  // the link is made as usual
        for (std::uint32_t i = 0; i < messages; ++i)
          context.after(Duration{static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(over.count())))}, [this, &context] {
            context.executor().post(0, [this](Outbox& turn) { say_something(turn); });
          });
      });
}

void SimHostile::say_something(Outbox& out) {
  const ActorRef edge{SimCluster::edge_node(), {}, 0, 0};
  const JobId job{random_.next()};
  ClientSubmit submit;
  submit.tag = random_.next();
  submit.prompt_ids = {1, 2, 3};
  submit.sampling.max_tokens = 4;
  switch (random_.below(22)) {
    case 0: submit.prompt_ids.clear(); break;
    case 1: submit.prompt_ids = {-1, std::numeric_limits<TokenId>::max()}; break;
    case 2: submit.prompt_ids.assign(5000, 1); break;
    case 3: submit.sampling.max_tokens = std::numeric_limits<std::uint32_t>::max(); break;
    case 4: submit.sampling.max_tokens = 0; break;
    case 5: submit.sampling.temperature = std::numeric_limits<float>::quiet_NaN(); break;
    case 6: submit.id = std::string(200, 'x'); break;
    case 7: submit.time_limit_ns = random_.chance(1, 2) ? 1 : std::numeric_limits<std::uint64_t>::max(); break;
    case 8: return out.send(edge, ClientCancel{0, "job-" + to_hex(job.value)});
    case 9: return out.send(edge, TokenBatch{{{job, 1, 0, 5, 0.0F}}, {{job, 1, FinishReason::kStop, 1, 0, {}}}, {{job, 1}}, {{job, 1, 1, 5, 0.0F}}});
    case 10: return out.send(edge, JobFailed{job, 0, ErrorCode::kInternal, "said a stranger"});
    case 11: return out.send(edge, JobAdmitted{job, 1});
    case 12: return out.send(edge, PeerLeft{{SimCluster::coordinator_node(), Incarnation{1}, 0, 0}, "said a stranger"});
    case 13: return out.send(edge, JoinRefused{ErrorCode::kIncompatible, "said a stranger"});
    case 14: return out.post(edge, Payload{ClientSubmit::kKind, std::string(8 * random_.below(20), 'z')});
    case 15: submit.n = static_cast<std::uint32_t>(random_.chance(1, 2) ? 100 + random_.below(100) : 0xffffffffu); break;
    case 16: submit.stop.assign(1 + random_.below(60), random_.chance(1, 2) ? "" : "\xff\xfe"); break;
    case 17: submit.sampling.repetition_penalty = random_.chance(1, 2) ? 0.0F : std::numeric_limits<float>::infinity(); break;
    case 18: submit.sampling.min_tokens = std::numeric_limits<std::uint32_t>::max(); break;
    case 19: submit.sampling.logprobs = submit.sampling.prompt_logprobs = static_cast<std::uint32_t>(random_.below(300)); break;
    case 20:
      submit.sampling.lists = std::make_shared<SamplingLists>(
          SamplingLists{{{-1, std::numeric_limits<float>::quiet_NaN()}}, {std::numeric_limits<TokenId>::min()}, {{}, {1 << 30}}});
      break;
    default: return out.post(edge, Payload{static_cast<std::uint16_t>(1 + random_.below(200)), std::string(random_.below(40), 'z')});
  }
  out.send(edge, submit);
}

}  // namespace baton
