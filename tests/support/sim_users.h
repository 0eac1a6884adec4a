// SPDX-License-Identifier: Apache-2.0
// SimUsers: one simulated client process that submits jobs over time and holds every answer against the oracle. It notes what
// a client may never see: a wrong or doubled token, text beyond a stop string, a second terminal, a token after the end, a count
// that does not add up.
// When its process dies, its jobs are lost with it; the next life submits them anew under the same ids.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "launcher/sim_wire.h"
#include "tests/support/expected_answer.h"

namespace baton {

struct SimUsersOptions {
  std::uint32_t jobs = 30;
  std::uint32_t prompt_max = 120;
  std::uint32_t tokens_max = 40;
  Duration over = std::chrono::milliseconds(400);  // submissions are spread over this time
  Duration from{};                                 // the first comes no earlier than that
  std::uint32_t cancel_in = 8;                     // one job in so many is cancelled; 0: none
  std::uint32_t double_in = 0;                     // one job in so many bears the id of an earlier one; 0: none
  std::uint32_t hurried_in = 0;                    // one job in so many has a time limit it may not keep; 0: none
  std::uint32_t prefixes = 0;                      // prompts begin with a part of one of so many texts; 0: all differ
  std::uint32_t next_turn_in = 0;                  // one job in so many goes on where an earlier one ends; 0: none
  std::uint32_t salts = 1;                         // cache salts in use
  bool reattach = false;                           // the edge may die: clients come back for their answers
  bool errors_allowed = true;                      // typed errors of the fault kinds count as an end
};

class SimUsers {
 public:
  SimUsers(SimCluster& cluster, OracleOptions model, const SimUsersOptions& options);

  static constexpr const char* kNode = "client/users";
  // The process dies now; it is the caller who starts the next life.
  void die();

  bool all_ended() const { return ended_ == options_.jobs; }
  std::uint32_t finished() const { return finished_; }
  std::uint32_t cancelled() const { return cancelled_; }
  std::uint32_t failed() const { return failed_; }
  std::uint64_t tokens() const { return tokens_; }
  std::uint64_t transferred() const { return transferred_; }
  std::uint64_t reattached() const { return reattached_; }
  // The most of a job's time, or of its time to the first token, that its timeline does not account for: messages under way.
  Duration worst_gap() const { return worst_gap_; }
  const std::vector<std::string>& complaints() const { return complaints_; }
  std::string unfinished() const;

 private:
  struct Choice {
    ExpectedAnswer expected;
    std::vector<TokenId> got;
    std::string text;
    bool ended = false;
  };
  struct Job {
    ClientSubmit submit;
    std::vector<Choice> choices;
    std::uint32_t prompt_known = 0;  // its positions with log-probabilities
    bool accepted = false;
    bool ended = false;
    bool cancel_sent = false;
    bool shares_id = false;
    bool came_back = false;       // another life of the edge answers, whose clock began later
    std::uint32_t attaching = 0;  // how often it has asked for its answer since its edge was lost
    Time sent{}, first{};
    std::uint64_t turn = 0;  // how many earlier ones it goes on from
  };

  void start(JobClient& client, Outbox& out, SimNodeContext& context);
  void come_back();
  void attach(std::uint64_t tag);
  void submit_again(std::uint64_t tag);
  static void begin_anew(Job& job);
  Job draw_job(std::uint64_t tag);
  void draw_extras(ClientSubmit& submit);
  void draw_prompt(Job& job, std::uint64_t tag);
  void cancel(const std::string& id, const std::function<void(ClientCancel)>& ask);
  void take(const JobClient::Inbox& answer);
  void complain(std::uint64_t tag, const std::string& what);
  void take_tokens(const ClientTokens& tokens);
  void take_prompt(std::uint64_t tag, Job& job, const Choice& choice, const ClientToken& token);
  void end_choice(std::uint64_t tag, Job& job, Choice& choice, const ClientChoiceDone& end);
  void take_choice_done(const ClientChoiceDone& done);
  void take_done(const ClientDone& done);
  void compare_clocks(const Job& job, const ClientDone& done);
  void take_error(const ClientError& error);
  Job* live(std::uint64_t tag);

  SimCluster& cluster_;
  const OracleOptions model_;
  const SimUsersOptions options_;
  Random random_;
  std::vector<std::vector<TokenId>> prefixes_;
  std::map<std::uint64_t, Job> jobs_;
  JobClient* client_ = nullptr;  // of the present life
  SimNodeContext* context_ = nullptr;
  std::uint32_t ended_ = 0;
  std::uint32_t finished_ = 0;
  std::uint32_t cancelled_ = 0;
  std::uint32_t failed_ = 0;
  std::uint64_t tokens_ = 0;
  std::uint64_t transferred_ = 0;
  std::uint64_t reattached_ = 0;
  Duration worst_gap_{};
  std::vector<std::string> complaints_;
};

}  // namespace baton
