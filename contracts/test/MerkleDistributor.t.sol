// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {MerkleDistributor} from "../src/MerkleDistributor.sol";
import {TestToken} from "../src/TestToken.sol";
import {Test} from "./support/Test.sol";
import {Tree} from "./support/Tree.sol";
import {BlockingToken, CallingToken, FalseToken, FeeToken, MintableToken, NoReturnToken} from "./tokens/HostileTokens.sol";

contract MerkleDistributorTest is Test {
    address private constant ADMIN = address(0xA);
    address private constant OPERATOR = address(0xB);
    address private constant GUARDIAN = address(0xC);
    address private constant ANN = address(0x1001);
    address private constant BEN = address(0x1002);
    address private constant CLEO = address(0x1003);
    address private constant STRANGER = address(0x666);
    bytes32 private constant FILE = keccak256("claims file");
    uint64 private constant LOCK = 1 hours;

    MerkleDistributor private distributor;
    IERC20 private token;

    function setUp() public {
        vm.warp(1_700_000_000);
        distributor = new MerkleDistributor(ADMIN, OPERATOR, GUARDIAN, LOCK);
        TestToken plain = new TestToken("Dollar", "USD", 6);
        plain.mint(address(distributor), 1_000);
        token = plain;
    }

    // --- paying ---------------------------------------------------------------------------------------------------

    function test_aClaimPaysTheAccountWhateverWhoeverCalls() public {
        bytes32[] memory leaves = publish(1, 100, 200, 300, 0);
        unlock();
        vm.expectEmit(true, true, true, true, address(distributor));
        emit MerkleDistributor.Claimed(token, BEN, 200, 200);
        vm.prank(STRANGER);
        distributor.claim(token, BEN, 200, Tree.proofOf(leaves, 1));
        same(token.balanceOf(BEN), 200, "paid to the account");
        same(token.balanceOf(STRANGER), 0, "not to the caller");
        same(distributor.claimed(token, BEN), 200, "claimed");
        same(distributor.claimedTotal(token), 200, "claimed in all");
    }

    function test_aClaimPaysTheDifferenceToEarlierClaims() public {
        bytes32[] memory leaves = publish(1, 100, 0, 0, 0);
        unlock();
        claim(ANN, 100, leaves, 0);
        leaves = publish(2, 150, 0, 0, 100);
        unlock();
        claim(ANN, 150, leaves, 0);
        same(token.balanceOf(ANN), 150, "paid in all");
    }

    function test_oneClaimCollectsAllDays() public {
        publish(1, 100, 0, 0, 0);
        unlock();
        publish(2, 150, 0, 0, 100);
        unlock();
        bytes32[] memory leaves = publish(3, 170, 0, 0, 150);
        unlock();
        claim(ANN, 170, leaves, 0);
        same(token.balanceOf(ANN), 170, "paid in all");
    }

    function test_aRepeatedClaimPaysNothing() public {
        bytes32[] memory leaves = publish(1, 100, 0, 0, 0);
        unlock();
        claim(ANN, 100, leaves, 0);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NothingToClaim.selector, 100, 100));
        distributor.claim(token, ANN, 100, Tree.proofOf(leaves, 0));
    }

    function test_aRepeatedRootPaysNothing() public {
        bytes32[] memory leaves = publish(1, 100, 0, 0, 0);
        unlock();
        claim(ANN, 100, leaves, 0);
        publish(2, 100, 0, 0, 100);
        unlock();
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NothingToClaim.selector, 100, 100));
        distributor.claim(token, ANN, 100, Tree.proofOf(leaves, 0));
    }

    function test_aSmallerTotalThanWasPaidPaysNothing() public {
        bytes32[] memory leaves = publish(1, 100, 0, 0, 0);
        unlock();
        claim(ANN, 100, leaves, 0);
        leaves = publish(2, 60, 40, 0, 100);
        unlock();
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NothingToClaim.selector, 60, 100));
        distributor.claim(token, ANN, 60, Tree.proofOf(leaves, 0));
    }

    function test_aProofOfAnotherAmountAccountTokenChainOrContractIsRefused() public {
        bytes32[] memory leaves = publish(1, 100, 200, 300, 0);
        unlock();
        bytes32[] memory proof = Tree.proofOf(leaves, 0);
        refused(token, ANN, 101, proof);
        refused(token, BEN, 100, proof);
        refused(IERC20(address(0x70)), ANN, 100, proof);
        vm.chainId(5);
        refused(token, ANN, 100, proof);
        vm.chainId(31337);
        MerkleDistributor other = new MerkleDistributor(ADMIN, OPERATOR, GUARDIAN, LOCK);
        TestToken(address(token)).mint(address(other), 1_000);
        bytes32 root = Tree.rootOf(leaves);
        vm.prank(OPERATOR);
        other.publish(token, 1, root, 600, 600, FILE);
        unlock();
        vm.expectRevert(MerkleDistributor.WrongProof.selector);
        other.claim(token, ANN, 100, proof);
    }

    function test_anInnerNodeIsNoLeaf() public {
        bytes32[] memory leaves = publish(1, 100, 200, 300, 0);
        unlock();
        refused(token, ANN, uint256(leaves[0]), new bytes32[](0));
        refused(token, ANN, 0, new bytes32[](0));
    }

    function test_nothingIsPaidBeforeTheFirstBatch() public {
        refused(token, ANN, 100, new bytes32[](0));
        same(distributor.batchInForce(token).number, 0, "no batch");
    }

    function test_aRootThatPromisesMoreThanItDeclaredPaysNoMoreThanDeclared() public {
        bytes32[] memory leaves = leavesOf(400, 400, 400);
        publishRoot(1, Tree.rootOf(leaves), 900, 900);
        unlock();
        claim(ANN, 400, leaves, 0);
        claim(BEN, 400, leaves, 1);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.PromiseExceeded.selector, 1_200, 900));
        distributor.claim(token, CLEO, 400, Tree.proofOf(leaves, 2));
    }

    function test_aLaterClaimIsAnnouncedWithWhatItPaysAndTheWhole() public {
        claim(ANN, 100, publishInForce(1, 100, 0), 0);
        bytes32[] memory leaves = publishInForce(2, 150, 100);
        vm.expectEmit(true, true, true, true, address(distributor));
        emit MerkleDistributor.Claimed(token, ANN, 50, 150);
        claim(ANN, 150, leaves, 0);
    }

    // --- publishing -----------------------------------------------------------------------------------------------

    function test_aBatchIsAnnouncedWithNumberIncreaseAndClaimsFile() public {
        vm.expectEmit(true, true, true, true, address(distributor));
        emit MerkleDistributor.BatchPublished(token, 1, bytes32(uint256(7)), 90, 90, FILE, uint64(block.timestamp) + LOCK);
        publishRoot(1, bytes32(uint256(7)), 90, 90);
        same(distributor.batchWaiting(token).number, 1, "waiting");
        same(distributor.batchInForce(token).number, 0, "not in force");
        same(distributor.lastNumber(token), 1, "last number");
        unlock();
        same(distributor.batchWaiting(token).number, 0, "nothing waits");
        same(distributor.batchInForce(token).number, 1, "in force");
        same(distributor.batchInForce(token).root, bytes32(uint256(7)), "root");
        // Of a later batch the total and the increase are not the same.
        vm.expectEmit(true, true, true, true, address(distributor));
        emit MerkleDistributor.BatchPublished(token, 2, bytes32(uint256(8)), 95, 5, FILE, uint64(block.timestamp) + LOCK);
        publishRoot(2, bytes32(uint256(8)), 5, 95);
    }

    function test_aBatchWithoutRootIsRefused() public {
        vm.expectRevert(MerkleDistributor.RootMissing.selector);
        publishRoot(1, 0, 1, 1);
    }

    function test_onlyTheNextNumberIsAccepted() public {
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.WrongBatchNumber.selector, 1, 2));
        publishRoot(2, bytes32(uint256(7)), 1, 1);
        publishRoot(1, bytes32(uint256(7)), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.WrongBatchNumber.selector, 2, 1));
        publishRoot(1, bytes32(uint256(7)), 1, 1);
    }

    function test_noBatchBeforeTheLastOneIsInForce() public {
        publishRoot(1, bytes32(uint256(7)), 1, 1);
        uint64 activeAt = uint64(block.timestamp) + LOCK;
        vm.warp(activeAt - 1);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.BatchStillLocked.selector, 1, activeAt));
        publishRoot(2, bytes32(uint256(8)), 1, 2);
        vm.warp(activeAt);
        publishRoot(2, bytes32(uint256(8)), 1, 2);
        same(distributor.batchInForce(token).number, 1, "the first is in force while the second waits");
    }

    function test_aBatchComputedOnAnotherTotalIsRefused() public {
        publishRoot(1, bytes32(uint256(7)), 100, 100);
        vm.prank(GUARDIAN);
        distributor.revoke(token, 1);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.WrongTotal.selector, 50, 150));
        publishRoot(2, bytes32(uint256(8)), 50, 150);
    }

    function test_noBatchPromisesMoreThanWasFunded() public {
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NotFunded.selector, 1_001, 1_000));
        publishRoot(1, bytes32(uint256(7)), 1_001, 1_001);
        bytes32[] memory leaves = publish(1, 1_000, 0, 0, 0);
        unlock();
        claim(ANN, 1_000, leaves, 0);
        same(distributor.funded(token), 1_000, "what was paid out still counts as funded");
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NotFunded.selector, 1_001, 1_000));
        publishRoot(2, bytes32(uint256(8)), 1, 1_001);
        TestToken(address(token)).mint(address(distributor), 1);
        publishRoot(2, bytes32(uint256(8)), 1, 1_001);
    }

    function test_tokensDoNotPayForEachOther() public {
        TestToken other = new TestToken("Other", "OTH", 18);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NotFunded.selector, 1, 0));
        vm.prank(OPERATOR);
        distributor.publish(other, 1, bytes32(uint256(7)), 1, 1, FILE);
    }

    function test_strangersPublishRevokePauseAndWithdrawNothing() public {
        bytes32 operator = distributor.OPERATOR_ROLE();
        bytes32 guardian = distributor.GUARDIAN_ROLE();
        vm.startPrank(STRANGER);
        vm.expectRevert(missing(STRANGER, operator));
        distributor.publish(token, 1, bytes32(uint256(7)), 1, 1, FILE);
        vm.expectRevert(missing(STRANGER, guardian));
        distributor.revoke(token, 1);
        vm.expectRevert(missing(STRANGER, guardian));
        distributor.pause();
        vm.expectRevert(missing(STRANGER, 0));
        distributor.unpause();
        vm.expectRevert(missing(STRANGER, 0));
        distributor.withdrawSurplus(token, STRANGER, 1);
        vm.stopPrank();
    }

    function test_aTimeLockIsOneSecondToSevenDays() public {
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.TimeLockOutOfRange.selector, 0));
        new MerkleDistributor(ADMIN, OPERATOR, GUARDIAN, 0);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.TimeLockOutOfRange.selector, 7 days + 1));
        new MerkleDistributor(ADMIN, OPERATOR, GUARDIAN, 7 days + 1);
        same(new MerkleDistributor(ADMIN, OPERATOR, GUARDIAN, 7 days).timeLock(), 7 days, "the longest");
        same(new MerkleDistributor(ADMIN, OPERATOR, GUARDIAN, 1).timeLock(), 1, "the shortest");
    }

    // --- revoking and pausing -------------------------------------------------------------------------------------

    function test_aRevokedBatchPaysNothingAndTheOneBeforeGoesOn() public {
        bytes32[] memory right = publish(1, 100, 0, 0, 0);
        unlock();
        bytes32[] memory wrong = publish(2, 100, 0, 500, 100);
        bytes32 root = Tree.rootOf(wrong);
        vm.expectEmit(true, true, true, true, address(distributor));
        emit MerkleDistributor.BatchRevoked(token, 2, root);
        vm.prank(GUARDIAN);
        distributor.revoke(token, 2);
        unlock();
        refused(token, CLEO, 500, Tree.proofOf(wrong, 2));
        claim(ANN, 100, right, 0);
    }

    function test_theNumberOfARevokedBatchIsUsedUp() public {
        publishRoot(1, bytes32(uint256(7)), 1, 1);
        vm.prank(GUARDIAN);
        distributor.revoke(token, 1);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.WrongBatchNumber.selector, 2, 1));
        publishRoot(1, bytes32(uint256(7)), 1, 1);
        publishRoot(2, bytes32(uint256(7)), 1, 1);
    }

    function test_whatIsInForceCannotBeRevoked() public {
        publishRoot(1, bytes32(uint256(7)), 1, 1);
        unlock();
        notRevoked(1);
        notRevoked(0);
        notRevoked(2);
        publishRoot(2, bytes32(uint256(8)), 1, 2);
        notRevoked(1);
    }

    function test_whilePausedNothingIsClaimedAndAWrongBatchCanBeReplaced() public {
        bytes32[] memory leaves = publish(1, 0, 0, 500, 0);
        unlock();
        vm.prank(GUARDIAN);
        distributor.pause();
        bytes32[] memory proof = Tree.proofOf(leaves, 2);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        distributor.claim(token, CLEO, 500, proof);
        bytes32[] memory corrected = leavesOf(500, 0, 0);
        publishRoot(2, Tree.rootOf(corrected), 0, 500);
        unlock();
        vm.prank(ADMIN);
        distributor.unpause();
        refused(token, CLEO, 500, proof);
        claim(ANN, 500, corrected, 0);
    }

    // --- surplus --------------------------------------------------------------------------------------------------

    function test_onlyWhatNobodyWasPromisedIsSurplus() public {
        bytes32[] memory leaves = publish(1, 100, 0, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NotSurplus.selector, 901, 900));
        vm.prank(ADMIN);
        distributor.withdrawSurplus(token, ADMIN, 901);
        unlock();
        claim(ANN, 100, leaves, 0);
        publish(2, 100, 50, 0, 100);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NotSurplus.selector, 851, 850));
        vm.prank(ADMIN);
        distributor.withdrawSurplus(token, ADMIN, 851);
        vm.prank(GUARDIAN);
        distributor.revoke(token, 2);
        vm.expectEmit(true, true, true, true, address(distributor));
        emit MerkleDistributor.SurplusWithdrawn(token, ADMIN, 900);
        vm.prank(ADMIN);
        distributor.withdrawSurplus(token, ADMIN, 900);
        same(token.balanceOf(ADMIN), 900, "withdrawn");
        same(token.balanceOf(address(distributor)), 0, "left");
    }

    function test_aTokenThatLostBalanceHasNoSurplus() public {
        publish(1, 1_000, 0, 0, 0);
        vm.prank(address(distributor));
        token.transfer(STRANGER, 400);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NotSurplus.selector, 1, 0));
        vm.prank(ADMIN);
        distributor.withdrawSurplus(token, ADMIN, 1);
    }

    // --- odd tokens -----------------------------------------------------------------------------------------------

    function test_aTokenWithFeesCountsForWhatArrived() public {
        FeeToken fee = new FeeToken();
        fee.mint(STRANGER, 1_000);
        vm.prank(STRANGER);
        fee.transfer(address(distributor), 1_000);
        token = fee;
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NotFunded.selector, 991, 990));
        publishRoot(1, bytes32(uint256(7)), 991, 991);
        bytes32[] memory leaves = publish(1, 500, 490, 0, 0);
        unlock();
        claim(ANN, 500, leaves, 0);
        claim(BEN, 490, leaves, 1);
        same(token.balanceOf(ANN), 495, "the token kept its fee");
        same(token.balanceOf(address(distributor)), 0, "all is paid out");
    }

    function test_aTokenThatAnswersNothingIsPaid() public {
        NoReturnToken old = new NoReturnToken();
        old.mint(address(distributor), 1_000);
        token = IERC20(address(old));
        bytes32[] memory leaves = publish(1, 100, 0, 0, 0);
        unlock();
        claim(ANN, 100, leaves, 0);
        same(old.balanceOf(ANN), 100, "paid");
        vm.prank(ADMIN);
        distributor.withdrawSurplus(token, ADMIN, 900);
        same(old.balanceOf(ADMIN), 900, "withdrawn");
    }

    function test_aTransferThatAnswersFalseLeavesTheClaimOpen() public {
        FalseToken liar = new FalseToken();
        liar.mint(address(distributor), 1_000);
        token = liar;
        bytes32[] memory leaves = publish(1, 100, 0, 0, 0);
        unlock();
        bytes32[] memory proof = Tree.proofOf(leaves, 0);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
        distributor.claim(token, ANN, 100, proof);
        same(distributor.claimed(token, ANN), 0, "still owed");
    }

    function test_aBlockedRecipientStopsNobodyElse() public {
        BlockingToken blocking = new BlockingToken();
        blocking.mint(address(distributor), 1_000);
        blocking.blockAccount(ANN);
        token = blocking;
        bytes32[] memory leaves = publish(1, 100, 200, 0, 0);
        unlock();
        bytes32[] memory proof = Tree.proofOf(leaves, 0);
        vm.expectRevert(abi.encodeWithSelector(BlockingToken.Blocked.selector, ANN));
        distributor.claim(token, ANN, 100, proof);
        claim(BEN, 200, leaves, 1);
        blocking.blockAccount(address(0));
        claim(ANN, 100, leaves, 0);
    }

    function test_aTokenThatCallsBackIntoClaimPaysOnce() public {
        CallingToken calling = new CallingToken();
        calling.mint(address(distributor), 1_000);
        token = calling;
        bytes32[] memory leaves = publish(1, 100, 200, 0, 0);
        unlock();
        calling.callOnTransfer(
            address(distributor), abi.encodeCall(distributor.claim, (token, BEN, 200, Tree.proofOf(leaves, 1)))
        );
        claim(ANN, 100, leaves, 0);
        yes(calling.called() && !calling.succeeded(), "the call back was refused");
        same(token.balanceOf(BEN), 0, "nothing through the back door");
    }

    function test_aTokenThatCallsBackWithAllRolesGetsNothing() public {
        CallingToken calling = new CallingToken();
        calling.mint(address(distributor), 1_000);
        token = calling;
        bytes32 operator = distributor.OPERATOR_ROLE();
        vm.startPrank(ADMIN);
        distributor.grantRole(0, address(calling));
        distributor.grantRole(operator, address(calling));
        vm.stopPrank();
        bytes32[] memory leaves = publish(1, 100, 0, 0, 0);
        unlock();
        calling.callOnTransfer(
            address(distributor), abi.encodeCall(distributor.withdrawSurplus, (token, STRANGER, 1))
        );
        claim(ANN, 100, leaves, 0);
        yes(calling.called() && !calling.succeeded(), "no withdrawal in the middle of a claim");
        calling.callOnTransfer(
            address(distributor), abi.encodeCall(distributor.publish, (token, 2, bytes32(uint256(7)), 1, 101, FILE))
        );
        vm.prank(ADMIN);
        distributor.withdrawSurplus(token, ADMIN, 900);
        yes(!calling.succeeded(), "no batch in the middle of a withdrawal");
    }

    function test_afterARevocationWhatIsInForceStaysPromised() public {
        publishInForce(1, 100, 0);
        publish(2, 150, 0, 0, 100);
        vm.prank(GUARDIAN);
        distributor.revoke(token, 2);
        vm.expectRevert(abi.encodeWithSelector(MerkleDistributor.NotSurplus.selector, 901, 900));
        vm.prank(ADMIN);
        distributor.withdrawSurplus(token, ADMIN, 901);
        vm.prank(ADMIN);
        distributor.withdrawSurplus(token, ADMIN, 900);
        same(token.balanceOf(address(distributor)), 100, "what was promised is left");
    }

    // --- the test token -------------------------------------------------------------------------------------------

    function test_onlyItsMakerMintsTheTestToken() public {
        TestToken made = new TestToken("Dollar", "USD", 6);
        same(made.decimals(), 6, "decimals");
        vm.expectRevert(abi.encodeWithSelector(TestToken.NotMinter.selector, STRANGER));
        vm.prank(STRANGER);
        made.mint(STRANGER, 1);
    }

    // --- properties -----------------------------------------------------------------------------------------------

    function test_whateverTheTotalsEveryAccountGetsExactlyItsOwn(uint256[8] memory seeds, uint8 count) public {
        uint256 accounts = within(count, 1, 8);
        bytes32[] memory leaves = new bytes32[](accounts);
        uint256 total;
        for (uint256 i = 0; i < accounts; i++) {
            seeds[i] = within(seeds[i], 1, type(uint128).max);
            leaves[i] = distributor.leafOf(token, account(i), seeds[i]);
            total += seeds[i];
        }
        TestToken(address(token)).mint(address(distributor), total - 1_000 * (total > 1_000 ? 1 : 0));
        publishRoot(1, Tree.rootOf(leaves), total, total);
        unlock();
        for (uint256 i = 0; i < accounts; i++) {
            distributor.claim(token, account(i), seeds[i], Tree.proofOf(leaves, i));
            same(token.balanceOf(account(i)), seeds[i], "paid");
        }
        same(distributor.claimedTotal(token), total, "all is paid");
    }

    // --- what the tests share -------------------------------------------------------------------------------------

    function account(uint256 i) private pure returns (address) {
        return address(uint160(0x2000 + i));
    }

    function leavesOf(uint256 ann, uint256 ben, uint256 cleo) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](3);
        leaves[0] = distributor.leafOf(token, ANN, ann);
        leaves[1] = distributor.leafOf(token, BEN, ben);
        leaves[2] = distributor.leafOf(token, CLEO, cleo);
    }

    function publish(uint64 number, uint256 ann, uint256 ben, uint256 cleo, uint256 before)
        private
        returns (bytes32[] memory leaves)
    {
        leaves = leavesOf(ann, ben, cleo);
        uint256 total = ann + ben + cleo;
        publishRoot(number, Tree.rootOf(leaves), total - before, total);
    }

    function publishInForce(uint64 number, uint256 ann, uint256 before) private returns (bytes32[] memory leaves) {
        leaves = publish(number, ann, 0, 0, before);
        unlock();
    }

    function publishRoot(uint64 number, bytes32 root, uint256 increase, uint256 total) private {
        vm.prank(OPERATOR);
        distributor.publish(token, number, root, increase, total, FILE);
    }

    function unlock() private {
        vm.warp(block.timestamp + LOCK);
    }

    function claim(address who, uint256 cumulative, bytes32[] memory leaves, uint256 index) private {
        distributor.claim(token, who, cumulative, Tree.proofOf(leaves, index));
    }

    function refused(IERC20 coin, address who, uint256 cumulative, bytes32[] memory proof) private {
        vm.expectRevert(MerkleDistributor.WrongProof.selector);
        distributor.claim(coin, who, cumulative, proof);
    }

    function notRevoked(uint64 number) private {
        vm.expectRevert(MerkleDistributor.NothingToRevoke.selector);
        vm.prank(GUARDIAN);
        distributor.revoke(token, number);
    }

    function missing(address who, bytes32 role) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, who, role);
    }
}
